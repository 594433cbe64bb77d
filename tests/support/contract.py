"""GitHub's description of its API, which every request and answer of a test must keep to."""

import json
from pathlib import Path

import requests
from openapi_core import OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse
from openapi_core.templating.responses.exceptions import ResponseNotFound

_DESCRIPTION = json.loads((Path(__file__).parents[1] / "data" / "github-openapi.json").read_text())
_API = OpenAPI.from_dict(_DESCRIPTION)


def keep(response: requests.Response) -> requests.Response:
    """Check an answer and its request; a refusal is checked only where it is described."""
    request = RequestsOpenAPIRequest(response.request)
    _API.validate_request(request)
    try:
        _API.validate_response(request, RequestsOpenAPIResponse(response))
    except ResponseNotFound:
        assert response.status_code >= 300, f"{response.request.url}: {response.status_code}"
    return response
