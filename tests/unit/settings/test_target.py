"""Scopes, hosts, and the addresses that follow from them."""

import pytest

from entrypoint.settings.target import Scope, names
from tests.support import fakehub
from tests.support.fakehub import PLACES


@pytest.mark.parametrize(("values", "base"), PLACES.values(), ids=PLACES)
def test_api_address(values: dict[str, str], base: str) -> None:
    """Every scope on every kind of host has the API address that GitHub documents."""
    target = fakehub.parse(values).target
    assert target.api_url + target.path == base


@pytest.mark.parametrize(
    ("url", "scope", "name", "api_url"),
    [
        ("https://github.com/acme/shop", "repository", "acme/shop", "https://api.github.com"),
        (
            "https://www.GitHub.com/acme/shop.git/",
            "repository",
            "acme/shop",
            "https://api.github.com",
        ),
        ("https://github.com/acme", "organization", "acme", "https://api.github.com"),
        ("https://github.com/orgs/acme", "organization", "acme", "https://api.github.com"),
        ("https://github.com/enterprises/acme", "enterprise", "acme", "https://api.github.com"),
        ("https://x.ghe.com/acme", "organization", "acme", "https://api.x.ghe.com"),
        ("https://git.acme.org:8443/a/b", "repository", "a/b", "https://git.acme.org:8443/api/v3"),
        ("http://localhost:8080/a", "organization", "a", "http://localhost:8080/api/v3"),
    ],
)
def test_one_url_says_it_all(url: str, scope: str, name: str, api_url: str) -> None:
    """GITHUB_URL alone gives scope, owner, repository, host and scheme."""
    target = fakehub.parse({"GITHUB_URL": url}).target
    assert (target.scope, target.name, target.api_url) == (scope, name, api_url)


@pytest.mark.parametrize(
    ("values", "web_url"),
    [
        ({"GITHUB_OWNER": "acme"}, "https://github.com/acme"),
        ({"GITHUB_OWNER": "acme", "GITHUB_REPOSITORY": "shop"}, "https://github.com/acme/shop"),
        ({"GITHUB_ENTERPRISE": "acme"}, "https://github.com/enterprises/acme"),
        ({"GITHUB_URL": "https://www.github.com/orgs/acme/"}, "https://github.com/acme"),
        ({"GITHUB_OWNER": "a", "GITHUB_HOST": "ghe.example.com"}, "https://ghe.example.com/a"),
        (
            {"GITHUB_URL": "https://github.com/a", "GITHUB_API_URL": "http://127.0.0.1:1"},
            "https://github.com/a",
        ),
    ],
)
def test_web_address(values: dict[str, str], web_url: str) -> None:
    """config.sh gets the page of the repository, the organization or the enterprise."""
    assert fakehub.parse(values).web_url == web_url


@pytest.mark.parametrize("path", ["", "/", "a/b/c", "enterprises", "enterprises/a/b", "a//b"])
def test_other_pages_are_no_scope(path: str) -> None:
    """A path that is no repository, organization or enterprise is refused."""
    with pytest.raises(ValueError, match=f"^{path}$"):
        names(path)


def test_a_target_says_what_it_is() -> None:
    """Messages describe a target by its scope, name and host."""
    target = fakehub.parse({"GITHUB_URL": "https://x.ghe.com/acme/shop"}).target
    assert str(target) == "repository acme/shop on x.ghe.com"
    assert target.scope is Scope.REPOSITORY
    assert target.api_host == "api.x.ghe.com"
