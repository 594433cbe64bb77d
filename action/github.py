"""GitHub's REST API of self-hosted runners, by the standard library.

https://docs.github.com/rest/actions/self-hosted-runners
"""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Sequence

from action.errors import Problem

PAGE = 100  # entries; a page of a list has no more
REQUEST_SECONDS = 15.0
THREADS = 8
_LONGEST_PAUSE = 15.0
_SECONDARY_PAUSE = 60.0  # GitHub's advice for a limit without a time
_MAXIMUM_PAGES = 200  # GitHub allows 10,000 runners in a group

_PERMISSION = (
    "a repository's runners need the repository permission Administration (write), an"
    " organization's the organization permission Self-hosted runners (write); a classic token the"
    " scope repo or admin:org"
)


@dataclass(frozen=True)
class Answer:
    """An answer of GitHub; status 0 if there was none, with the cause as the message."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def message(self) -> str:
        """GitHub's message, or the usual words for the status."""
        message = self.body.get("message") if isinstance(self.body, dict) else None
        return " ".join(str(message or http.client.responses.get(self.status, "")).split())


class Refused(Exception):
    """GitHub has refused a request."""

    def __init__(self, method: str, path: str, answer: Answer) -> None:
        super().__init__(f"{method} {path}: {answer.status} {answer.message}")
        self.answer = answer
        self.request = f"{method} {path}"

    def problem(self) -> Problem:
        """Return the error for the log."""
        answer = self.answer
        request_id = answer.headers.get("x-github-request-id")
        words = f"{self.request}: {answer.status or 'no answer:'} {answer.message}"
        if request_id:
            words += f" (request {request_id})"
        title, remedy = _remedy(answer)
        return Problem(title, words, remedy)


@dataclass(frozen=True)
class Runner:
    """A runner on GitHub's list."""

    id: int
    name: str
    online: bool
    busy: bool
    labels: Sequence[str]

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Runner:
        """Return the runner in an answer."""
        labels = [str(label.get("name")) for label in body.get("labels") or []]
        return cls(
            id=int(body["id"]),
            name=str(body.get("name")),
            online=body.get("status") == "online",
            busy=bool(body.get("busy")),
            labels=labels,
        )


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirects: the standard library would send the token to another host."""

    def redirect_request(self, *_arguments: Any, **_options: Any) -> None:
        """Return nothing; `_Connection` follows redirects that stay at GitHub."""


class GitHub:
    """The runners of one repository, organization or enterprise."""

    def __init__(self, api: str, scope: str, token: str, debug: Callable[[str], None]) -> None:
        """`api` is the API's URL; `scope` is the part of paths before /actions/runners."""
        self._api = api.rstrip("/")
        self._runners = f"/{scope}/actions/runners"
        self._groups = f"/{scope}/actions/runner-groups"
        self._token = token
        self._debug = debug
        self._opener = urllib.request.build_opener(_NoRedirects())
        self._threads = ThreadPoolExecutor(THREADS)

    async def generate(self, wanted: Mapping[str, Any], deadline: float) -> tuple[Runner, str]:
        """Register a runner; return it and its JIT configuration.

        If the answer to an earlier request was lost, GitHub has the name already. It can only be
        ours, because the name is random: that runner is removed, and the request repeated.
        """
        path = self._runners + "/generate-jitconfig"
        answer = await self._request("POST", path, deadline, wanted, allowed=(201, 409))
        if answer.status == 409:
            for runner in await self.named([str(wanted["name"])], deadline):
                await self.remove(runner.id, deadline)
            answer = await self._request("POST", path, deadline, wanted, allowed=(201,))
        return Runner.of(answer.body["runner"]), str(answer.body["encoded_jit_config"])

    async def get(self, runner_id: int, deadline: float) -> Runner | None:
        """Return one runner; None if GitHub no longer lists it."""
        path = f"{self._runners}/{runner_id}"
        answer = await self._request("GET", path, deadline, allowed=(200, 404))
        return Runner.of(answer.body) if answer.status == 200 else None

    async def listed(self, deadline: float) -> list[Runner]:
        """Return all runners."""
        found: dict[int, Runner] = {}
        for page in range(1, _MAXIMUM_PAGES + 1):
            path = f"{self._runners}?per_page={PAGE}&page={page}"
            answer = await self._request("GET", path, deadline)
            runners = [Runner.of(body) for body in answer.body["runners"]]
            found.update((runner.id, runner) for runner in runners)
            if len(runners) < PAGE:
                break
        return list(found.values())

    async def named(self, names: Sequence[str], deadline: float) -> list[Runner]:
        """Return the runners with these names; Enterprise Server before 3.11 ignores the filter."""
        if len(names) > 1:
            return [runner for runner in await self.listed(deadline) if runner.name in names]
        query = urllib.parse.urlencode({"name": names[0], "per_page": PAGE})
        answer = await self._request("GET", f"{self._runners}?{query}", deadline)
        return [runner for runner in map(Runner.of, answer.body["runners"]) if runner.name in names]

    async def remove(self, runner_id: int, deadline: float) -> bool:
        """Take a runner off the list; False if it has a job, since GitHub then refuses."""
        path = f"{self._runners}/{runner_id}"
        answer = await self._request("DELETE", path, deadline, allowed=(204, 404, 422))
        return answer.status != 422

    async def group_id(self, name: str, deadline: float) -> int:
        """Return the id of a runner group; the default group's is 1."""
        if not name or name.lower() == "default":
            return 1
        path = f"{self._groups}?per_page={PAGE}"
        answer = await self._request("GET", path, deadline)
        groups = {str(group["name"]): int(group["id"]) for group in answer.body["runner_groups"]}
        if name in groups:
            return groups[name]
        known = ", ".join(sorted(groups)) or "none"
        raise Problem("group", f"There is no runner group {name!r}.", f"There are: {known}.")

    async def _request(
        self,
        method: str,
        path: str,
        deadline: float,
        body: Mapping[str, Any] | None = None,
        *,
        allowed: Sequence[int] = (200,),
    ) -> Answer:
        """Return an answer with an allowed status; Refused if none comes within the tries."""
        attempt = 0
        while True:
            attempt += 1
            left = deadline - time.monotonic()
            answer = await self._ask(method, path, body, min(REQUEST_SECONDS, max(1.0, left)))
            if answer.status in allowed:
                return answer
            pause = _pause(answer, attempt)
            if pause is None or time.monotonic() + pause >= deadline:
                raise Refused(method, path, answer)
            self._debug(f"{method} {path} again in {pause:.0f} s")
            await asyncio.sleep(pause)

    async def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None, seconds: float
    ) -> Answer:
        loop = asyncio.get_running_loop()
        begin = time.monotonic()
        answer = await loop.run_in_executor(
            self._threads, self._exchange, method, self._api + path, body, seconds
        )
        self._debug(f"{method} {path}: {answer.status}, {time.monotonic() - begin:.1f} s")
        return answer

    def _exchange(
        self, method: str, url: str, body: Mapping[str, Any] | None, timeout: float
    ) -> Answer:
        answer = self._once(method, url, body, timeout)
        location = urllib.parse.urljoin(url, answer.headers.get("location", ""))
        moved = answer.status in (301, 302, 307, 308) and _host(location) == _host(url)
        # A renamed repository. After 301 and 302 only a GET may be repeated with its method.
        if moved and (method == "GET" or answer.status in (307, 308)):
            return self._once(method, location, body, timeout)
        return answer

    def _once(
        self, method: str, url: str, body: Mapping[str, Any] | None, timeout: float
    ) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, method=method)  # noqa: S310 checked as an input
        request.add_header("Authorization", f"Bearer {self._token}")
        request.add_header("Accept", "application/vnd.github+json")
        request.add_header("X-GitHub-Api-Version", "2022-11-28")
        request.add_header("User-Agent", "gh-runner-action")
        try:
            with self._opener.open(request, timeout=timeout) as response:
                return _answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error.headers, error.read())
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            return Answer(0, {}, {"message": f"{type(error).__name__}: {reason}"})


def _answer(status: int, headers: Any, content: bytes) -> Answer:
    try:
        body = json.loads(content) if content else {}
    except ValueError:
        body = {"message": "no JSON"}
    found = {name.lower(): value for name, value in headers.items()}
    if status < 300 and content and body == {"message": "no JSON"}:
        return Answer(502, found, {"message": "Something else than GitHub's API has answered"})
    return Answer(status, found, body)


def _host(url: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc


def _pause(answer: Answer, attempt: int) -> float | None:
    """Return the seconds until another try; None if none can help."""
    if _is_limited(answer):
        return _limit(answer, attempt)
    if answer.status == 0 or answer.status >= 500:
        longest = min(_LONGEST_PAUSE, 2.0 ** (attempt - 1))
        return float(answer.headers.get("retry-after", "") or random.uniform(0.2, longest))  # noqa: S311 no secret
    return None


def _is_limited(answer: Answer) -> bool:
    if answer.status not in (403, 429):
        return False
    headers, message = answer.headers, answer.message.lower()
    spent = headers.get("x-ratelimit-remaining") == "0" or "rate limit" in message
    return answer.status == 429 or "retry-after" in headers or spent


def _limit(answer: Answer, attempt: int) -> float:
    headers = answer.headers
    after, reset = headers.get("retry-after", ""), headers.get("x-ratelimit-reset", "")
    if after.isdigit():
        pause = float(after)
    elif headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
        pause = max(0.0, int(reset) - time.time()) + 1
    else:
        pause = _SECONDARY_PAUSE * 2 ** (attempt - 1)
    return pause * random.uniform(1.0, 1.1)  # noqa: S311 spreads clients that got the same answer


def _remedy(answer: Answer) -> tuple[str, str]:
    """Return the input to blame, and the remedy."""
    if answer.status == 0:
        return "GitHub", "Check that this machine can reach the API (input api-url)."
    if _is_limited(answer):
        return "rate limit", "Let the step wait longer (input timeout), or ask for fewer runners."
    if answer.status >= 500:
        return "GitHub", "GitHub has trouble: see https://www.githubstatus.com, and try again."
    if answer.status in (401, 403, 404):
        return "token", _cure(answer)
    return "GitHub", "Correct the input that GitHub's words are about (name, labels, group)."


def _cure(answer: Answer) -> str:
    """Return the remedy for a token that GitHub refuses."""
    if answer.status == 401:
        return "The token is misspelt, has expired or was revoked: give another one."
    if answer.headers.get("x-github-sso", "").startswith("required"):
        return f"Authorize it for the organization: {answer.headers['x-github-sso']}."
    if "by integration" in answer.message.lower():
        return _integration(answer)
    return f"It may not register runners here, or context is misspelt: {_PERMISSION}."


def _integration(answer: Answer) -> str:
    needed = answer.headers.get("x-accepted-github-permissions", "")
    accepted = f" GitHub names {needed}." if needed else ""
    return (
        "A workflow's own github.token can never register a runner. Give the token of a GitHub App"
        f" (actions/create-github-app-token) or a personal one: {_PERMISSION}.{accepted}"
    )
