"""A refusal becomes one message: complete, on one line, without a secret."""

from typing import Any

import pytest

from entrypoint.github import answer as answers
from entrypoint.github.answer import Answer, Request
from entrypoint.github.refusals import explain
from entrypoint.settings.credential import Kind
from tests.support import fakehub
from tests.unit.github.test_refusals import ASKED


def test_the_message_is_complete() -> None:
    """It has method, path, address, status, GitHub's words, request id and number of tries."""
    headers = {"x-github-request-id": "AB12:34"}
    failure = explain(Answer(502, "Server Error", headers), ASKED, 4, "time is up")
    assert failure.message == (
        "POST /repos/acme/shop/actions/runners/registration-token at https://api.github.com:"
        " 502 'Server Error', x-github-request-id AB12:34 (tried 4 times); time is up"
    )


@pytest.mark.parametrize(
    ("reset", "words"),
    [("1000000000", "2001-09-09T01:46:40Z"), ("", "within the hour"), ("9" * 30, "Z")],
)
def test_reset(reset: str, words: str) -> None:
    """The end of the primary limit is given as a time, whatever the header contains."""
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}
    assert words in explain(Answer(403, "", headers), ASKED).hint


def test_sso_address() -> None:
    """The message repeats the address where the token can be authorized."""
    url = "https://github.com/orgs/acme/sso?authorization_request=AAA"
    answer = Answer(403, "", {"x-github-sso": f"required; url={url}"})
    assert url in explain(answer, ASKED).hint


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"message": "Not Found"}, "Not Found"),
        (
            {"message": "Validation Failed", "errors": ["a", {"message": "b"}]},
            "Validation Failed: a, b",
        ),
        (
            {
                "message": "Bad",
                "errors": [{"resource": "Runner", "field": "name", "code": "custom"}],
            },
            "Bad: Runner name custom",
        ),
        ({"message": "Bad", "errors": "oops"}, "Bad: oops"),
        ({"message": None}, ""),
        ({}, ""),
        ([1], ""),
        ("text", ""),
        ({"message": "two\nlines\x1b[31m"}, "two lines [31m"),
        ({"message": "x" * 1000}, "x" * 299 + "…"),
    ],
)
def test_words(body: Any, said: str) -> None:
    """The message repeats GitHub's words on one short line, with the details of a 422."""
    assert answers.words(body) == said


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("status", [200, 301, 401, 403, 404, 409, 410, 418, 422, 429, 500])
def test_every_remedy_can_be_filled_in(kind: Kind, status: int) -> None:
    """No placeholder is left in a remedy, whatever the credential and the scope."""
    for values in ({}, {"GITHUB_OWNER": "acme"}, {"GITHUB_ENTERPRISE": "acme"}):
        asked = Request("GET", "/x", fakehub.parse(values).target, kind, "GITHUB_PERSONAL_TOKEN")
        failure = explain(Answer(status, is_github=status != 200), asked)
        assert failure.hint
        assert "{" not in failure.hint
