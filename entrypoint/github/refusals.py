"""Every way in which GitHub, or a proxy before it, can refuse a request, and what to do about it.

The table has the remedy, the exit code, and whether to try again; docs/troubleshooting.md is
generated from it. The first row that fits an answer counts, so the order matters. `explain` fills
in the placeholders of the remedies.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from entrypoint.errors import ExitCode, Failure
from entrypoint.github.answer import Answer, Refusal, Request, Retry
from entrypoint.settings.credential import Kind, needs


def _trouble(kind: str) -> Callable[[Answer, Request], bool]:
    return lambda answer, _: answer.trouble == kind


def _status(*statuses: int) -> Callable[[Answer, Request], bool]:
    return lambda answer, _: answer.status in statuses


def _denied(test: Callable[[Answer], bool], *statuses: int) -> Callable[[Answer, Request], bool]:
    return lambda answer, _: answer.status in (statuses or (403,)) and test(answer)


def _primary(answer: Answer) -> bool:
    return answer.header("x-ratelimit-remaining") == "0" or answer.says("api rate limit exceeded")


def _secondary(answer: Answer) -> bool:
    marked = "retry-after" in answer.headers or answer.says("secondary rate limit", "abuse")
    return marked or answer.status == 429


def _is(kind: Kind) -> Callable[[Answer, Request], bool]:
    return lambda answer, asked: asked.kind is kind and answer.status in (401, 404)


def _by_app_itself(asked: Request) -> bool:
    """Return whether a request is one of those that an App signs with its key."""
    return asked.path.startswith("/app/") or asked.path.endswith("/installation")


def _asked(status: int, end: str) -> Callable[[Answer, Request], bool]:
    return lambda answer, asked: answer.status == status and asked.path.endswith(end)


REFUSALS = (
    Refusal(
        "name resolution",
        _trouble("dns"),
        "the name of the API's host could not be resolved",
        "check the container's DNS, and GITHUB_HOST, GITHUB_URL or GITHUB_API_URL for a misspelt"
        " host; behind a proxy set HTTPS_PROXY",
        ExitCode.RETRY,
        Retry.BACKOFF,
    ),
    Refusal(
        "clock",
        _trouble("clock"),
        "the server's certificate is not yet valid, or has expired",
        "compare the clock of this machine with the true time; if it is right, the server's"
        " certificate must be renewed",
        ExitCode.CONFIG,
    ),
    Refusal(
        "certificate",
        _trouble("tls"),
        "the TLS certificate of the server, or of a proxy before it, is not trusted",
        "name the PEM file of the certificate authority in RUNNER_CA_FILE",
        ExitCode.CONFIG,
    ),
    Refusal(
        "certificate's name",
        _trouble("hostname"),
        "the server's certificate is for another host",
        "the name that was asked for must be one that the certificate holds: check GITHUB_HOST,"
        " GITHUB_URL, GITHUB_API_URL, and what DNS and proxy make of {host}",
        ExitCode.CONFIG,
    ),
    Refusal(
        "proxy's address",
        _trouble("proxy address"),
        "the address of the proxy, or of GitHub, cannot be used",
        "HTTPS_PROXY and HTTP_PROXY take http://HOST:PORT (SOCKS is not supported)",
        ExitCode.CONFIG,
    ),
    Refusal(
        "proxy log-in",
        lambda answer, _: answer.trouble == "proxy login" or answer.status == 407,
        "407: the proxy asks for a user name and password",
        "write them into HTTPS_PROXY, as in http://USER:PASSWORD@HOST:PORT, or name GitHub's"
        " hosts in NO_PROXY",
        ExitCode.CONFIG,
    ),
    Refusal(
        "proxy",
        _trouble("proxy"),
        "the proxy cannot be reached, or does not let this connection through",
        "check HTTPS_PROXY and HTTP_PROXY, ask the proxy's operator to allow {host}, or name it"
        " in NO_PROXY",
        ExitCode.RETRY,
        Retry.BACKOFF,
    ),
    Refusal(
        "time-out",
        _trouble("timeout"),
        "no answer in time",
        "check firewall and routes to {host}, or set HTTPS_PROXY; GITHUB_TIMEOUT is how long to"
        " try; https://www.githubstatus.com tells whether GitHub has trouble itself",
        ExitCode.RETRY,
        Retry.BACKOFF,
    ),
    Refusal(
        "no connection",
        lambda answer, _: answer.status == 0,
        "no route, connection refused, or connection lost",
        "check firewall and routes to {host}, or set HTTPS_PROXY if there is a proxy",
        ExitCode.RETRY,
        Retry.BACKOFF,
    ),
    Refusal(
        "primary rate limit",
        _denied(_primary, 403, 429),
        "403 or 429 with `x-ratelimit-remaining: 0`",
        "start again after the reset ({reset}); the limit is the credential's, so give each fleet"
        " its own, or use a GitHub App, whose limit is higher",
        ExitCode.RETRY,
        Retry.LIMIT,
    ),
    Refusal(
        "secondary rate limit",
        _denied(_secondary, 403, 429),
        "403 or 429 with `retry-after`, or the words `secondary rate limit`",
        "too many requests at once: start runners more slowly, or let them wait longer by a"
        " larger GITHUB_TIMEOUT",
        ExitCode.RETRY,
        Retry.LIMIT,
    ),
    Refusal(
        "unlike GitHub",
        lambda answer, _: 0 < answer.status < 500 and not answer.is_github,
        "an answer that is not JSON, such as a proxy's log-in page",
        "something else than GitHub's API answers at {api}: check GITHUB_HOST, GITHUB_URL,"
        " GITHUB_API_URL and the proxy",
        ExitCode.CONFIG,
    ),
    Refusal(
        "redirect",
        lambda answer, _: 300 <= answer.status < 400,
        "3xx that leads to another host, or in circles",
        "give the present name of the {scope} and the API's true address; a credential is never"
        " sent to another host",
        ExitCode.CONFIG,
    ),
    Refusal(
        "registration token",
        _is(Kind.REGISTRATION),
        "401 or 404 to what RUNNER_TOKEN may do",
        "a registration token is valid for one hour and for one {scope}: make a new one, or give"
        " a personal access token or a GitHub App instead",
        ExitCode.REFUSED,
    ),
    Refusal(
        "App's key",
        lambda answer, asked: answer.status == 401 and _by_app_itself(asked),
        "401 to an App's own request",
        "GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY must belong to the same App, the key must not"
        " have been deleted there, and this machine's clock must be right to a minute",
        ExitCode.REFUSED,
    ),
    Refusal(
        "bad credentials",
        _status(401),
        "401 `Bad credentials`",
        "the credential is misspelt, has expired or was revoked: make a new one, with {needs}, and"
        " give it as {setting}",
        ExitCode.REFUSED,
        Retry.FRESH,
    ),
    Refusal(
        "single sign-on",
        _denied(lambda a: a.header("x-github-sso").startswith("required"), 403, 404),
        "403 with `x-github-sso: required`",
        "authorize the token for the organization at {sso} (that address is valid for an hour)",
        ExitCode.REFUSED,
    ),
    Refusal(
        "permissions",
        _denied(lambda a: a.says("resource not accessible by")),
        "403 `Resource not accessible by personal access token` or `by integration`",
        "give the {kind} {needs}{accepted}; for an App, an owner must then accept the change",
        ExitCode.REFUSED,
    ),
    Refusal(
        "scopes",
        _denied(Answer.missing_scopes, 403, 404),
        "403 or 404, and `x-oauth-scopes` has none of `x-accepted-oauth-scopes`",
        "the token has {granted}; give it {needs}",
        ExitCode.REFUSED,
    ),
    Refusal(
        "no admin",
        _denied(lambda a: a.says("must have admin rights", "must be an org owner", "admin access")),
        "403 `Must have admin rights to Repository.`",
        "the owner of the token must be an admin of the {scope}, or use a token of somebody who is",
        ExitCode.REFUSED,
    ),
    Refusal(
        "IP allow list",
        _denied(lambda a: a.says("ip allow list")),
        "403 `... has an IP allow list enabled, and your IP address is not permitted`",
        "an owner must add the address from which this machine reaches GitHub to the allow list",
        ExitCode.REFUSED,
    ),
    Refusal(
        "suspended",
        _denied(lambda a: a.says("suspended")),
        "403 `This installation has been suspended`",
        "an owner must lift the suspension in the settings, under `GitHub Apps`",
        ExitCode.REFUSED,
    ),
    Refusal(
        "forbidden",
        _status(403),
        "403 for any other reason",
        "the {kind} needs {needs}; an owner may have forbidden self-hosted runners or this kind"
        " of token",
        ExitCode.REFUSED,
    ),
    Refusal(
        "not installed",
        lambda answer, asked: answer.status == 404 and _by_app_itself(asked),
        "404 to the search for an App's installation",
        "install the App for the {scope} {name} with {needs}, or correct the names or"
        " GITHUB_APP_INSTALLATION_ID",
        ExitCode.REFUSED,
    ),
    Refusal(
        "no JIT",
        _asked(404, "/generate-jitconfig"),
        "404 to a just-in-time configuration",
        "check the names, and that the {kind} has {needs}; an Enterprise Server before 3.10 has no"
        " JIT: set RUNNER_REGISTRATION=config there",
        ExitCode.REFUSED,
    ),
    Refusal(
        "not found",
        _status(404),
        "404 `Not Found`",
        "GitHub hides what a credential may not see: check GITHUB_OWNER, GITHUB_REPOSITORY,"
        " GITHUB_ENTERPRISE or GITHUB_URL for a misspelt name (a user has no runners outside the"
        " repositories), and that the {kind} has {needs}",
        ExitCode.REFUSED,
    ),
    Refusal(
        "conflict",
        _status(409),
        "409 `Already exists - A runner with the name ...`",
        "another runner has the name: start again, which makes a new suffix",
        ExitCode.RETRY,
    ),
    Refusal(
        "gone",
        _status(410),
        "410",
        "GitHub no longer offers this, or not for an archived or disabled repository: check the"
        " {scope}, and for a newer image",
        ExitCode.REFUSED,
    ),
    Refusal(
        "invalid",
        _status(400, 422),
        "400 or 422",
        "correct the setting that GitHub's words are about, such as RUNNER_NAME, RUNNER_LABELS or"
        " RUNNER_GROUP",
        ExitCode.CONFIG,
    ),
    Refusal(
        "GitHub failed",
        lambda answer, _: answer.status >= 500,
        "500, 502, 503 or 504",
        "GitHub has trouble (https://www.githubstatus.com), or a proxy cannot reach it: try later",
        ExitCode.RETRY,
        Retry.BACKOFF,
    ),
    Refusal(
        "unexpected",
        lambda *_: True,
        "any other status",
        "check that {api} is GitHub's API; if it is, please report this as a defect of gh-runner",
        ExitCode.REFUSED,
    ),
)


def refusal(answer: Answer, asked: Request) -> Refusal:
    """Return the first row of the table that fits an answer."""
    return next(row for row in REFUSALS if row.fits(answer, asked))


def explain(answer: Answer, asked: Request, tries: int = 1, given_up: str = "") -> Failure:
    """Return the Failure for the last answer; `given_up` says why there is no other try."""
    row = refusal(answer, asked)
    came = f"{answer.status}{f' {answer.words!r}' if answer.words else ''}"
    request_id = answer.header("x-github-request-id")
    message = (
        f"{asked.method} {asked.path} at {asked.target.api_url}: "
        + (came if answer.status else f"{row.sign} ({answer.words})")
        + (f", x-github-request-id {request_id}" if request_id else "")
        + (f" (tried {tries} times)" if tries > 1 else "")
        + (f"; {given_up}" if given_up else "")
    )
    return Failure(
        row.code,
        message,
        row.remedy.format_map(_context(answer, asked)),
        kind=row.name,
        method=asked.method,
        path=asked.path,
        status=answer.status,
        request_id=request_id,
    )


def _context(answer: Answer, asked: Request) -> dict[str, str]:
    """Return the values for the placeholders of the remedies."""
    target = asked.target
    accepted = answer.header("x-accepted-github-permissions")
    return {
        "accepted": f" (GitHub asks for {accepted})" if accepted else "",
        "api": target.api_url,
        "granted": answer.header("x-oauth-scopes") or "no scope at all",
        "host": target.api_host,
        "kind": asked.kind,
        "name": target.name,
        "needs": needs(asked.kind, target.scope),
        "reset": _limit_ends(answer.header("x-ratelimit-reset")),
        "scope": target.scope,
        "setting": asked.credential_variable,
        "sso": answer.header("x-github-sso").partition("url=")[2] or "the token's settings",
    }


def _limit_ends(epoch: str) -> str:
    """Return the time (UTC) at which the rate limit is lifted, as words for a message."""
    if not (epoch.isascii() and epoch.isdigit()):
        return "within the hour"
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(min(int(epoch), 2**33)))
