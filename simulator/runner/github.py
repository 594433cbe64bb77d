"""The requests of `configure` and `remove` to GitHub, with the retries of the real ones."""

import os
import time

from .identity import api_prefix, scope_of
from .wire import Answer, Connection

TYPE_CHECKING = False  # importing `typing` costs 8 ms
if TYPE_CHECKING:
    from typing import Any

    from .program import Settings, Terminal

TRIES = 3


class GitHub:
    """GitHub as a registration or remove token sees it; a refusal is a ValueError."""

    def __init__(self, settings: "Settings", terminal: "Terminal", url: str) -> None:
        self._settings = settings
        self._terminal = terminal
        self._connection = Connection(settings)
        self._prefix = api_prefix(url)
        self._url = url
        self._scope = scope_of(url)
        self.token = ""

    def fetch_token(self, pat: str, kind: str) -> str:
        """Return a registration or remove token that a PAT was shown for."""
        from binascii import b2a_base64  # noqa: PLC0415  # only --pat needs it

        basic = b2a_base64(b"github:" + pat.encode(), newline=False).decode()
        path = f"/{self._scope}/actions/runners/{kind}-token"
        return str(self._patient("POST", path, None, "basic " + basic).json()["token"])

    def announce(self) -> None:
        """Show the registration token."""
        body = {"url": self._url, "runner_event": "register"}
        self.call("POST", "/actions/runner-registration", body)

    def groups(self) -> "list[dict[str, Any]]":
        """Return the runner groups of the scope."""
        answer = self.call("GET", f"/{self._scope}/actions/runner-groups")
        return list(answer.json()["runner_groups"])

    def named(self, name: str) -> "list[dict[str, Any]]":
        """Return the runners of that name."""
        answer = self.call("GET", f"/{self._scope}/actions/runners?name={quote(name)}")
        return list(answer.json()["runners"])

    def register(self, body: "dict[str, Any]") -> "dict[str, Any]":
        """Add a runner, or replace the one of the same name."""
        answer = self.call("POST", "/actions/runners/register", {"url": self._url, **body})
        return dict(answer.json())

    def remove(self, runner_id: int) -> None:
        """Take a runner off the list."""
        self.call("DELETE", f"/{self._scope}/actions/runners/{runner_id}")

    def call(self, method: str, path: str, body: "Any" = None) -> Answer:
        """Send a request with the token; see `_patient`."""
        return self._patient(method, path, body, "RemoteAuth " + self.token)

    def _patient(self, method: str, path: str, body: "Any", authorization: str) -> Answer:
        """Return a good answer within three tries; a 404 ends them at once."""
        for attempt in range(1, TRIES + 1):
            try:
                answer = self._connection.request(method, self._prefix + path, body, authorization)
            except OSError as error:
                failure = str(error)
            else:
                if answer.status < 300:
                    return answer
                failure = self._report(method, path, answer)
                if answer.status == 404:
                    break
            self._terminal.trace(f"Attempt {attempt} failed: {failure}", "ERR ")
            if attempt < TRIES:
                time.sleep(self._back_off())
        raise ValueError(failure)

    def _report(self, method: str, path: str, answer: Answer) -> str:
        url = self._settings.url + self._prefix + path
        request_id = answer.headers.get("x-github-request-id", "")
        self._terminal.error(
            f"Http response code: {answer.name} from '{method} {url}' (Request Id: {request_id})"
        )
        self._terminal.error(answer.text)
        return f"Response status code does not indicate success: {answer.status} ({answer.name})."

    def _back_off(self) -> float:
        low, high = self._settings.retry_min, self._settings.retry_max
        return low + (high - low) * os.urandom(1)[0] / 255


def quote(text: str) -> str:
    """Return the value of a query parameter, percent-encoded."""
    safe = b"-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return "".join(chr(byte) if byte in safe else f"%{byte:02X}" for byte in text.encode())
