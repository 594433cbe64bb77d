"""Start the simulator's server and talk to its control API. Standard library only."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from simulator.distribution import make_distribution

Event = dict[str, Any]
START_SECONDS = 20.0
PROJECT = Path(__file__).resolve().parent.parent


class Simulator:
    """A server of its own on a free port, for as long as the context lasts.

    `arguments` are added to `python -m simulator serve`. `listeners` are more sockets on which the
    server answers; they may belong to another network namespace.
    """

    def __init__(self, *arguments: str, listeners: Sequence[socket.socket] = ()) -> None:
        self._arguments = arguments
        self._listeners = listeners
        self._process: subprocess.Popen[bytes] | None = None
        self._address = ("", 0)
        self.url = ""
        self.tls_port = 0

    def __enter__(self) -> Self:
        """Start the server and wait until it answers."""
        read_end, write_end = os.pipe()
        command = [sys.executable, "-m", "simulator", "serve", "--exit-with-stdin"]
        descriptors = [listener.fileno() for listener in self._listeners]
        command += [f"--listen-fd={descriptor}" for descriptor in descriptors]
        try:
            self._process = subprocess.Popen(
                [*command, "--ready-fd", str(write_end), *self._arguments],
                stdin=subprocess.PIPE,
                pass_fds=[write_end, *descriptors],
                cwd=PROJECT,
                start_new_session=True,
            )
        finally:
            os.close(write_end)
        with open(read_end, encoding="utf-8") as file:
            line = file.readline()
        if not line:
            self._end()
            raise RuntimeError("the simulator did not start")
        ready = json.loads(line)
        self.url, self.tls_port = ready["url"], ready.get("tls_port", 0)
        host, _, port = self.url.removeprefix("http://").partition(":")
        self._address = (host, int(port))
        return self

    def __exit__(self, *_: object) -> None:
        """End the server."""
        self._end()

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def call(self, method: str, path: str, body: Any = None, timeout: float = 30.0) -> Any:
        """Send a request to the control API and return its answer; RuntimeError if it refuses."""
        return self._request(method, "/_simulator/" + path, body, timeout=timeout)

    def _request(
        self,
        method: str,
        path: str,
        body: Any,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
    ) -> Any:
        """Send a request and return its answer; RuntimeError for any status but 200 and 201."""
        connection = http.client.HTTPConnection(*self._address, timeout=timeout)
        data = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, data, dict(headers or {}))
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status not in (200, 201):
            raise RuntimeError(f"{method} {path}: {response.status} {answer}")
        return answer

    def queue_job(self, run: str = ":", **fields: Any) -> dict[str, Any]:
        """Queue a job that runs a bash script; return it.

        `name`, `labels` and `scope` are GitHub's; `always` is a script that runs after a
        cancellation, too. `container` (an image) and `services` (images by their names) make the
        runner use docker; `dockerfile` is the text from which it builds an action, which is the
        job's first step. `worker_start` is the time in seconds between the line "Running job" of
        the listener and the start of the worker, in place of the runner's own.

        `hang` makes the runner hang with this job, as GitHub's runner does:

        - "refused": the job cannot be acquired (404). GitHub drops the runner, and goes on
          answering its listener, which waits for another job for ever.
        - "taken": the same with 409, because another runner has the job.
        - "unanswered": the acquisition is never answered. The runner stays on the list and busy
          until the lease is over: `settings(lease_seconds=600.0)`.
        - "never-reads": the worker does not read its job. The listener kills it after
          `worker_read` seconds (see `Distribution`) and ends with 0; GitHub shows the job as in
          progress, and refuses to delete the runner, until the lease is over.
        - "never-leaves": a worker whose job is cancelled stays for ever, and reports nothing.
          With `cancel_job(id, for_ever=True)` the listener is told several times a second, and
          GitHub drops the runner after `settings(cancel_seconds=300.0)`.
        - "listener-stays": the worker reports and ends; the listener stays, and hears no SIGINT.

        A job whose step stops its listener (SIGSTOP) is `queue_job(kind="stops-listener")`. A
        session that another process holds is `hold_session`.
        """
        body = fields if "kind" in fields else {"run": run, **fields}
        return dict(self.call("POST", "jobs", body))

    def cancel_job(self, job_id: str, *, for_ever: bool = False) -> None:
        """Cancel a job as its user would; `for_ever` tells its listener again and again."""
        self.call("POST", "jobs/cancel", {"id": job_id, "for_ever": for_ever})

    def hold_session(self) -> None:
        """Answer every listener that another process holds its session, until `clear_faults`.

        The listener says so at once. It tries again for `session_conflict` seconds (see
        `Distribution`). Then it ends with 5, and run.sh with 0.
        """
        conflict = {"message": "A session for this runner already exists."}
        self.fault(path="/_services/session", method="POST", status=409, body=conflict, times=0)

    def jobs(self) -> list[dict[str, Any]]:
        """Return all jobs, each with its id, name, status, result, runner, log and more."""
        return list(self.call("GET", "jobs"))

    def job(self, job_id: str) -> dict[str, Any]:
        """Return one job."""
        return next(job for job in self.jobs() if job["id"] == job_id)

    def runners(self) -> list[dict[str, Any]]:
        """Return the registered runners of all scopes."""
        return list(self.call("GET", "runners"))

    def requests(self) -> list[dict[str, Any]]:
        """Return all requests that the server has seen, in their order."""
        return list(self.call("GET", "requests"))

    def tokens(self, scope: str = "") -> dict[str, list[str]]:
        """Return the tokens that the server has given out, by kind, for one scope or for all.

        The kinds are registration, remove and installation. Installation tokens have no scope.
        """
        return dict(self.call("GET", "tokens" + (f"?scope={scope}" if scope else "")))

    def fault(self, **fields: Any) -> None:
        """Make the next requests that match go wrong: see `simulator.hub.faults.Fault`."""
        self.call("POST", "faults", fields)

    def release(self, name: str) -> None:
        """Let the requests go on that a fault holds under this name."""
        self.call("POST", "faults/release", {"name": name})

    def clear_faults(self) -> None:
        """End all faults."""
        self.call("POST", "faults/clear", {})

    def add_credential(self, token: str, **fields: Any) -> None:
        """Accept a token from now on: see `simulator.hub.credentials.Credential`."""
        self.call("POST", "credentials", {"token": token, **fields})

    def revoke_credential(self, token: str) -> None:
        """Refuse a token from now on."""
        self.call("POST", "credentials/revoke", {"token": token})

    def add_app(
        self, app_id: int, public_key: str, *installations: dict[str, Any], **fields: Any
    ) -> None:
        """Make an App known: see `simulator.hub.credentials.App` and `Installation`."""
        body = {"id": app_id, "public_key": public_key, "installations": installations}
        self.call("POST", "apps", {**body, **fields})

    def expire_tokens(self, *kinds: str) -> None:
        """Expire all tokens of these kinds: registration, remove, installation; or of all."""
        self.call("POST", "tokens/expire", {"kinds": kinds} if kinds else {})

    def delete_runner(self, runner_id: int) -> None:
        """Take a runner off the list, busy or not; its listener is not told."""
        self.call("POST", "runners/delete", {"id": runner_id})

    def make_jit_configuration(
        self, name: str, *, token: str = "ghp_simulator", scope: str = "repos/acme/shop"
    ) -> tuple[int, str]:
        """Register a runner as a scale set does; return its id and its encoded configuration."""
        body = {"name": name, "runner_group_id": 1, "labels": ["self-hosted", "Linux", "X64"]}
        answer = self._post(f"/{scope}/actions/runners/generate-jitconfig", body, token)
        return answer["runner"]["id"], answer["encoded_jit_config"]

    def make_registration_token(
        self, *, token: str = "ghp_simulator", scope: str = "repos/acme/shop"
    ) -> str:
        """Return a registration token, as a person gets it from GitHub's page."""
        path = f"/{scope}/actions/runners/registration-token"
        return str(self._post(path, None, token)["token"])

    def _post(self, path: str, body: Any, token: str) -> Any:
        """Send a request to GitHub's API, and return its answer; RuntimeError if it refuses."""
        headers = {"Authorization": f"Bearer {token}", "User-Agent": "controller"}
        return self._request("POST", path, body, headers=headers)

    def add_group(self, name: str) -> int:
        """Add a runner group and return its id."""
        return int(self.call("POST", "groups", {"name": name})["id"])

    def deprecate(self, version: str, **fields: Any) -> None:
        """Refuse a runner version from now on: see `simulator.hub.world.Deprecation`."""
        self.call("POST", "deprecations", {"version": version, **fields})

    def settings(self, **fields: Any) -> None:
        """Change settings: see `simulator.hub.world.Settings`."""
        self.call("POST", "settings", fields)

    def reset(self) -> int:
        """Forget everything, and return the id of the last event."""
        return int(self.call("POST", "reset", {})["last"])

    def events(self, after: int = 0, wait: float = 0.0) -> list[Event]:
        """Return the events after this id; if there is none, wait `wait` seconds for one."""
        path = f"events?after={after}&wait={wait}"
        return list(self.call("GET", path, timeout=wait + 30.0))

    def last_event(self) -> int:
        """Return the id of the latest event."""
        found = self.events()
        return int(found[-1]["id"]) if found else 0

    def wait_for(self, kind: str, *, timeout: float = 30.0, after: int = 0, **match: Any) -> Event:
        """Return the first event of this kind after this id whose members match.

        A text matches if the member contains it. Raises TimeoutError after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for event in self.events(after, max(0.0, deadline - time.monotonic())):
                after = event["id"]
                if event["kind"] == kind and _fits(event, match):
                    return event
        raise TimeoutError(f"no event {kind} {match} within {timeout} s")

    def make_distribution(self, directory: Path | str, **options: Any) -> Path:
        """Write a runner that talks to this server: see `simulator.make_distribution`."""
        return make_distribution(directory, url=self.url, **options)


def _fits(event: Event, match: dict[str, Any]) -> bool:
    for name, wanted in match.items():
        found = event.get(name)
        if isinstance(wanted, str) and isinstance(found, str):
            if wanted not in found:
                return False
        elif found != wanted:
            return False
    return True
