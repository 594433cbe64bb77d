"""Whose list the runner goes on, and where that GitHub is: scopes, hosts and their addresses.

Three kinds of GitHub (https://docs.github.com/rest/using-the-rest-api): github.com and ghe.com
have their API at api.HOST, an Enterprise Server has it at HOST/api/v3. The listener derives the
same addresses (UrlUtil.IsHostedServer and RunnerDotcomServer in actions/runner).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# What each request to the API says, its authorization left out.
HEADERS = {
    "Accept": "application/vnd.github+json",
    "User-Agent": "gh-runner",
    "X-GitHub-Api-Version": "2022-11-28",
}


class Scope(StrEnum):
    """What owns the list of runners."""

    REPOSITORY = "repository"
    ORGANIZATION = "organization"
    ENTERPRISE = "enterprise"


_RESERVED = {"enterprises", "orgs", "organizations"}  # names of pages that no owner can have
_FOLDERS = {Scope.REPOSITORY: "repos", Scope.ORGANIZATION: "orgs", Scope.ENTERPRISE: "enterprises"}


@dataclass(frozen=True)
class Target:
    """One list of runners: `name` is acme/shop, acme, or the slug of an enterprise."""

    server: str  # scheme and host, as in https://github.com
    scope: Scope
    name: str
    api: str = ""  # the API's URL where it cannot be derived from the server's

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
        """The host that the API is at, with its port if it has one."""
        return self.api_url.partition("://")[2].partition("/")[0]

    @property
    def path(self) -> str:
        """The scope's path below the API's root, as in /repos/acme/shop."""
        return f"/{_FOLDERS[self.scope]}/{self.name}"

    @property
    def web_url(self) -> str:
        """The address that config.sh takes: the page of the repository, organization, enterprise.

        Only an enterprise has a folder before its name there.
        """
        folder = "/enterprises" if self.scope is Scope.ENTERPRISE else ""
        return f"{self.server}{folder}/{self.name}"

    def __str__(self) -> str:
        """Say it for messages: repository acme/shop on github.com."""
        return f"{self.scope} {self.name} on {self.host}"


def is_hosted(host: str) -> bool:
    """Return whether GitHub itself runs that host; otherwise it is an Enterprise Server."""
    return host == "github.com" or host.endswith(".ghe.com")


def target(
    *, host: str, owner: str, repository: str, enterprise: str, url: str, api: str
) -> Target:
    """Return the one that the settings name; `url` (if not empty) says all but `api`."""
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
    """Return owner, repository and enterprise of a page's path; ValueError if it has none."""
    match path.removesuffix("/").split("/"):
        case ["enterprises", enterprise] if enterprise:
            return "", "", enterprise
        case ["orgs" | "organizations", owner] | [owner] if owner not in {"", *_RESERVED}:
            return owner, "", ""
        case [owner, repository] if owner not in {"", *_RESERVED}:
            if bare := repository.removesuffix(".git"):
                return owner, bare, ""
    raise ValueError(path)
