"""The listener's session: log in, wait for messages, take a job, log out."""

import os
import time
from select import POLLIN, poll

from . import codec, diagnostics
from .program import pause, utc
from .wire import Answer, Connection

TYPE_CHECKING = False  # importing `typing` costs 8 ms
if TYPE_CHECKING:
    from typing import Any

    from .identity import Identity
    from .program import Settings, Terminal

DELETED = (
    "Failed to create a session. The runner registration has been deleted from the server, please"
    " re-configure. Runner registrations are automatically deleted for runners that have not"
    " connected to the service recently."
)


class Ended(Exception):
    """The listener has to leave with this exit code."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(message)
        self.code = code


class Gone(Exception):
    """The server no longer knows this runner."""


class Session:
    """The listener's session with the server; it awaits at most one answer at a time."""

    def __init__(self, settings: "Settings", terminal: "Terminal", identity: "Identity") -> None:
        self._saved = saved = identity.settings()
        self._settings = settings
        self._terminal = terminal
        self._client = identity.client()
        self._base = "/" + str(saved["serverurlv2"]).partition("://")[2].partition("/")[2]
        self._run = ""
        self._token = ""
        self._id = ""
        self.connection = Connection(settings)

    def open(self) -> None:
        """Log in, and try again for as long as it takes; Ended if no further try can help."""
        started = time.monotonic()
        troubled = False
        self._terminal.trace(codec.dumps(self._saved), component="BrokerMessageListener")
        diagnostics.write(self._terminal, diagnostics.CONNECTING)
        while True:
            try:
                answer = self._try_open()
                if answer.status == 200:
                    break
                trouble = self._judge(answer, time.monotonic() - started if troubled else None)
            except OSError as error:
                trouble = str(error)
            if not troubled:
                message = f"Runner connect error: {trouble}. Retrying until reconnected."
                self._terminal.error(f"{utc()}: {message}")
                troubled = True
            time.sleep(self._settings.session_retry)
        self._id = answer.json()["session_id"]
        diagnostics.write(self._terminal, diagnostics.CONNECTED)
        if troubled:
            self._terminal.line(f"{utc()}: Runner reconnected.")

    def _try_open(self) -> Answer:
        client, key = self._client
        login = {"grant_type": "client_credentials", "client_id": client, "client_assertion": key}
        answer = self.connection.request("POST", self._base + "oauth2/token", login)
        if answer.status != 200:
            return answer
        self._token = "Bearer " + answer.json()["access_token"]
        self._terminal.line()
        self._terminal.success("Connected to GitHub")
        self._terminal.line()
        owner = f"{os.uname().nodename} (PID: {os.getpid()})"
        body = {"owner_name": owner, "version": self._settings.version, "pid": os.getpid()}
        return self._call("POST", "session", body)

    def _judge(self, answer: Answer, waited: float | None) -> str:
        """Return the trouble in words, or raise Ended.

        `waited` is the time in seconds since the first try; None if nothing was said yet.
        """
        if answer.status == 400:
            raise Ended(1, DELETED)
        if answer.status == 403:
            raise Ended(1, "Failed to create session. Error: Forbidden")
        if answer.status != 409:
            return answer.name
        if waited is not None and waited >= self._settings.session_conflict:
            raise Ended(5, f"Failed to create session. Error: {answer.name}")
        return str(answer.json()["message"])

    def ask(self, status: str) -> None:
        """Begin to wait for a message; `status` is Online or Busy."""
        query = f"?sessionId={self._id}&status={status}&runnerVersion={self._settings.version}"
        self.connection.send("GET", f"{self._base}message{query}", None, self._token)

    def message(self) -> "dict[str, Any] | None":
        """Return the message that was asked for, or None; Gone, Ended, or OSError on trouble."""
        answer = self.connection.receive()
        if answer.status == 404:
            raise Gone
        if answer.status == 403:
            deprecated = os.environ.get("ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE", "")
            asked = deprecated.lower() in ("1", "true")
            raise Ended(7 if asked else 1, "An error occurred: " + answer.json()["message"])
        if answer.status == 401:
            self._terminal.trace("Runner OAuth token has been revoked. Shutting down.")
            raise Ended(0)
        if answer.status >= 400:
            raise OSError(answer.name)
        return dict(codec.loads(answer.text)) if answer.status == 200 else None

    def wait_for_message(self) -> "dict[str, Any] | None":
        """Return the message, and renew the token meanwhile, which makes the log grow."""
        every = self._settings.token_renewal
        if every:
            poller = poll()
            poller.register(self.connection.fileno(), POLLIN)
            while not poller.poll(every * 1000):
                diagnostics.write(self._terminal, diagnostics.TOKEN)
        return self.message()

    def acquire(self, message: "dict[str, Any]") -> "dict[str, Any] | None":
        """Return the job that a message tells of; None if the server refuses it."""
        diagnostics.write(self._terminal, diagnostics.MESSAGE)
        self._run = "/" + str(message["run_service_url"]).partition("://")[2].partition("/")[2]
        request = {"jobMessageId": message["runner_request_id"]}
        self._call("POST", "acknowledge", request)
        pause(self._settings.acquire)
        path = self._run + "acquirejob"
        answer = self.connection.request("POST", path, request, self._token)
        if answer.status == 200:
            return dict(answer.json())
        failed = f"POST request to {self._settings.url}{path} failed. HTTP Status: {answer.name}"
        self._terminal.trace(failed, "ERR ", "GitHubActionsService")
        skipped = f"Skipping message Job. {answer.json()['message']}"
        self._terminal.trace(skipped, component="Runner")
        return None

    def tell_cancellation(self, message: "dict[str, Any]") -> None:
        """Write into the log that the server cancels a job."""
        text = f"Job cancellation request {message['job_id']} received, cancellation timeout 5"
        self._terminal.trace(f"{text} minutes.", component="JobDispatcher")

    def renew(self, job: "dict[str, Any]") -> None:
        """Renew the lock of a job, on a connection of its own."""
        self._job_call("renewjob", {"job_id": job["id"]}, job)
        text = f"Successfully renew job {job['id']}, job is valid till {utc()}"
        self._terminal.trace(text, component="JobDispatcher")

    def fail(self, job: "dict[str, Any]") -> None:
        """Report a job whose worker has died."""
        self._job_call("completejob", {"job_id": job["id"], "result": "failed"}, job)

    def close(self) -> bool:
        """Log out, and return whether the server still knew the runner.

        On a broken connection this takes `session_delete` seconds.
        """
        self.connection.close()
        try:
            return self._call("DELETE", "session?sessionId=" + self._id).status != 404
        except OSError as error:
            self._terminal.trace(f"Ignore any exception during DeleteSession. {error}")
            time.sleep(self._settings.session_delete)
            return True

    def _job_call(self, action: str, body: "Any", job: "dict[str, Any]") -> None:
        connection = Connection(self._settings)
        try:
            connection.request("POST", self._run + action, body, "Bearer " + job["token"])
        except OSError as error:
            self._terminal.trace(f"{action}: {error}", "ERR ")
        finally:
            connection.close()

    def _call(self, method: str, path: str, body: "Any" = None) -> Answer:
        return self.connection.request(method, self._base + path, body, self._token)
