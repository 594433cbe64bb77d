"""Which list of runners the runner is registered on, and where its GitHub is.

Three kinds of GitHub (https://docs.github.com/rest/using-the-rest-api): github.com and ghe.com
have their API at api.HOST, an Enterprise Server has it at HOST/api/v3. The listener derives the
same addresses (UrlUtil.IsHostedServer and RunnerDotcomServer in actions/runner).
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

# The headers of each request to the API, without its authorization.
HEADERS = {
    "Accept": "application/vnd.github+json",
    "User-Agent": "gh-runner",
    "X-GitHub-Api-Version": "2022-11-28",
}


class Scope(StrEnum):
    """What owns a list of runners."""

    REPOSITORY = "repository"
    ORGANIZATION = "organization"
    ENTERPRISE = "enterprise"


_RESERVED = {"enterprises", "orgs", "organizations"}  # names of pages that no owner can have
_FOLDERS = {Scope.REPOSITORY: "repos", Scope.ORGANIZATION: "orgs", Scope.ENTERPRISE: "enterprises"}


class Target(NamedTuple):
    """One list of runners: `name` is acme/shop, acme, or the slug of an enterprise."""

    server: str  # scheme and host, as in https://github.com
    scope: Scope
    name: str
    api: str = ""  # the API's URL if it cannot be derived from the server's

    @property
    def host(self) -> str:
        """The host of the web pages, with its port if it has one."""
        return self.server.partition("://")[2]

    @property
    def api_url(self) -> str:
        """The root of the REST API, without a slash at its end."""
        if self.api:
            return self.api
        if is_hosted(self.host):
            return self.server.replace("://", "://api.", 1)
        return f"{self.server}/api/v3"

    @property
    def api_host(self) -> str:
        """The host of the API, with its port if it has one."""
        return self.api_url.partition("://")[2].partition("/")[0]

    @property
    def path(self) -> str:
        """The scope's path below the API's root, as in /repos/acme/shop."""
        return f"/{_FOLDERS[self.scope]}/{self.name}"

    @property
    def web_url(self) -> str:
        """The URL for config.sh: the page of the repository, organization or enterprise.

        Only an enterprise's page has a folder before the name.
        """
        folder = "/enterprises" if self.scope is Scope.ENTERPRISE else ""
        return f"{self.server}{folder}/{self.name}"

    def __str__(self) -> str:
        """Return the words for messages, such as "repository acme/shop on github.com"."""
        return f"{self.scope} {self.name} on {self.host}"


def is_hosted(host: str) -> bool:
    """Return whether GitHub itself operates a host; otherwise the host is an Enterprise Server."""
    return host == "github.com" or host.endswith(".ghe.com")


def target(
    *, host: str, owner: str, repository: str, enterprise: str, url: str, api: str
) -> Target:
    """Return the target that the settings name; a `url` replaces all arguments but `api`."""
    server = f"https://{host}"
    if url:
        scheme, _, address = url.partition("://")
        host, _, path = address.partition("/")
        server = f"{scheme}://{host.lower().removeprefix('www.')}"
        owner, repository, enterprise = names(path)
    if enterprise:
        return Target(server, Scope.ENTERPRISE, enterprise, api)
    if repository:
        return Target(server, Scope.REPOSITORY, f"{owner}/{repository}", api)
    return Target(server, Scope.ORGANIZATION, owner, api)


def names(path: str) -> tuple[str, str, str]:
    """Return owner, repository and enterprise that a page's path names. Raises ValueError."""
    match path.removesuffix("/").split("/"):
        case ["enterprises", enterprise] if enterprise:
            return "", "", enterprise
        case ["orgs" | "organizations", owner] | [owner] if owner not in {"", *_RESERVED}:
            return owner, "", ""
        case [owner, repository] if owner not in {"", *_RESERVED}:
            if bare := repository.removesuffix(".git"):
                return owner, bare, ""
    raise ValueError(path)
