"""The `aws` command: sends a request to AWS, and returns the answer as JSON."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import tempfile
import time
from typing import Any, Callable, Mapping

from action.errors import Problem

_ERROR = re.compile(
    r"An error occurred \((?P<code>[\w.]+)\) when calling the (?P<operation>\w+) operation"
    r"(?: \([^)]*\))?: (?P<message>.*)",
    re.DOTALL,
)
NO_ANSWER = "NoAnswer"
_NOWHERE = re.compile(
    r"Could not connect to the endpoint|Connect timeout|Read timeout|Connection was closed"
    r"|Failed to connect|SSL validation failed",
    re.IGNORECASE,
)
PASSING = frozenset(
    [
        NO_ANSWER,
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "RequestLimitExceeded",
        "ServerException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    ]
)
_DENIED = frozenset(["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"])
_EXPIRED = frozenset(
    [
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "RequestExpired",
        "UnrecognizedClientException",
        "AuthFailure",
    ]
)
CONNECT_SECONDS, READ_SECONDS = 5, 20


class AwsError(Exception):
    """AWS has refused an operation, or has not answered (`NO_ANSWER`)."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        super().__init__(f"{operation}: {code}: {message}")
        self.operation = operation
        self.code = code
        self.message = message

    @property
    def passes(self) -> bool:
        """Whether the same request may succeed later."""
        return self.code in PASSING


class Aws:
    """The `aws` command with the credentials of the step's environment."""

    def __init__(
        self, environ: Mapping[str, str], directory: str, region: str, debug: Callable[[str], None]
    ) -> None:
        """`directory` is private; each request is a file in it until it is answered."""
        self._directory = directory
        self._debug = debug
        # Version 1 of the command does not read AWS_REGION.
        region = region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""
        self._options = ["--region", region] if region else []
        self._environ = _environment(environ)
        # Each run of the command keeps a processor busy for about half a second.
        self._turn = asyncio.Semaphore(2 * (os.cpu_count() or 1))

    async def __call__(
        self, operation: str, request: Mapping[str, Any], *, region: str = ""
    ) -> dict[str, Any]:
        """Send a request for an operation, as `ecs run-task`; AwsError or Problem if it fails."""
        async with self._turn:
            return await self._ask(operation, request, region)

    async def _ask(self, operation: str, request: Mapping[str, Any], region: str) -> dict[str, Any]:
        begin = time.monotonic()
        path = _laid_down(request, self._directory)
        try:
            code, out, err = await self._run(operation, path, region)
        finally:
            os.unlink(path)
        self._debug(f"aws {operation}: {code}, {time.monotonic() - begin:.1f} s")
        if code != 0:
            raise _refusal(operation, err.strip() or out.strip())
        try:
            answer = json.loads(out or "{}")
        except ValueError:
            raise AwsError(operation, NO_ANSWER, f"no JSON but {out[:200]!r}") from None
        return answer if isinstance(answer, dict) else {}

    async def _run(self, operation: str, path: str, region: str) -> tuple[int, str, str]:
        options = ["--region", region] if region else self._options
        command = [
            *("aws", *operation.split()),
            *("--cli-input-json", f"file://{path}", "--output", "json"),
            *("--cli-connect-timeout", str(CONNECT_SECONDS)),
            *("--cli-read-timeout", str(READ_SECONDS), *options),
        ]
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environ,
                # In a process group of its own: Ctrl-C would end it in the middle of a request.
                start_new_session=True,
            )
        except FileNotFoundError:
            raise Problem(
                "aws",
                "There is no aws command on this machine.",
                "Run the step on a machine of GitHub's (ubuntu-latest), or install the AWS CLI.",
            ) from None
        try:
            out, err = await process.communicate()
        except asyncio.CancelledError:
            _kill(process)
            raise
        return process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace")


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the command's environment, without our inputs, one of which is GitHub's token."""
    kept = {
        name: value
        for name, value in environ.items()
        if not name.startswith(("GH_RUNNER_", "INPUT_"))
    }
    kept.pop("GITHUB_TOKEN", None)
    defaults = {"AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "3"}
    return {
        **defaults,
        **kept,
        # Version 2 would otherwise page its output, ask questions, and use the locale's encoding.
        "AWS_PAGER": "",
        "AWS_CLI_AUTO_PROMPT": "off",
        "AWS_CLI_FILE_ENCODING": "UTF-8",
        "PYTHONUTF8": "1",
    }


def _laid_down(request: Mapping[str, Any], directory: str) -> str:
    """Return a file with the request: command lines are visible to every process."""
    descriptor, path = tempfile.mkstemp(prefix="request-", dir=directory)
    with open(descriptor, "w", encoding="ascii") as file:
        json.dump(request, file)
    return path


def _kill(process: asyncio.subprocess.Process) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # the command has just ended


def _refusal(operation: str, words: str) -> Exception:
    found = _ERROR.search(words)
    if found is None:
        return _own_failure(operation, words)
    code, message = found["code"], " ".join(found["message"].split())
    if code in _DENIED:
        return Problem(
            "AWS permissions",
            f"{operation}: {message}",
            "The role that the step has assumed lacks this right; docs/ecs.md lists what it needs.",
        )
    if code in _EXPIRED:
        return Problem(
            "AWS credentials",
            f"{operation}: {message}",
            "Let aws-actions/configure-aws-credentials run before this step, in the same job.",
        )
    return AwsError(operation, code, message)


def _own_failure(operation: str, words: str) -> Exception:
    """Return the error for a failure of the command itself, without an answer of AWS."""
    last = words.splitlines()[-1] if words else "no message"
    if "credentials" in words.lower():
        return Problem(
            "AWS credentials",
            f"{operation}: {last}",
            "Let aws-actions/configure-aws-credentials run before this step, in the same job.",
        )
    if "specify a region" in words.lower():
        return Problem("region", f"{operation}: {last}", "Set the input region, or AWS_REGION.")
    if _NOWHERE.search(words):
        return AwsError(operation, NO_ANSWER, last)
    return Problem("aws", f"{operation}: {words[-500:]}")
