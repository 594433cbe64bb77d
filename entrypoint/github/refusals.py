"""Every way in which GitHub, or what lies before it, can refuse: how it looks, what to do.

One table. The code takes the remedy, the exit code and the retry from it, and
docs/troubleshooting.md is made from it. The first row that fits an answer wins, so the order
counts. Placeholders in the remedies are filled in by `explain`.
"""

from __future__ import annotations

from collections.abc import Callable

from entrypoint.errors import ExitCode
from entrypoint.github.answer import Answer, Asked, Refusal, Retry
from entrypoint.github.troubles import TROUBLES
from entrypoint.settings.credential import Kind


def _status(*statuses: int) -> Callable[[Answer, Asked], bool]:
    return lambda answer, _: answer.status in statuses


def _denied(test: Callable[[Answer], bool], *statuses: int) -> Callable[[Answer, Asked], bool]:
    return lambda answer, _: answer.status in (statuses or (403,)) and test(answer)


def _primary(answer: Answer) -> bool:
    return answer.header("x-ratelimit-remaining") == "0" or answer.says("api rate limit exceeded")


def _secondary(answer: Answer) -> bool:
    marked = "retry-after" in answer.headers or answer.says("secondary rate limit", "abuse")
    return marked or answer.status == 429


def _is(kind: Kind) -> Callable[[Answer, Asked], bool]:
    return lambda answer, asked: asked.kind is kind and answer.status in (401, 404)


def _by_app_itself(asked: Asked) -> bool:
    """Return whether it is one of the requests that an App signs with its key."""
    return asked.path.startswith("/app/") or asked.path.endswith("/installation")


def _asked(status: int, end: str) -> Callable[[Answer, Asked], bool]:
    return lambda answer, asked: answer.status == status and asked.path.endswith(end)


REFUSALS = (
    *TROUBLES,
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


def refusal(answer: Answer, asked: Asked) -> Refusal:
    """Return the row that fits."""
    return next(row for row in REFUSALS if row.fits(answer, asked))
