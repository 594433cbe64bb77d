"""The job-started hook, by which a job asks PID 1 whether it may begin.

GitHub's runner runs the hook before any code of a workflow, and waits for its end. The hook writes
into a FIFO, and the kernel wakes PID 1 by a signal (O_ASYNC in open(2)). PID 1 deletes the FIFOs
before it answers, so no step of a job ever sees them.
"""

from __future__ import annotations

import fcntl
import os
import shlex
from collections.abc import Mapping
from contextlib import suppress

from entrypoint.container import account, files
from entrypoint.errors import ExitCode, Failure
from entrypoint.settings.schema import Settings

HOOK = "ACTIONS_RUNNER_HOOK_JOB_STARTED"
_NAMES = ("job-started.sh", "job-started.ask", "job-started.answer")
_READABLE = 0o555
# If PID 1 ends without an answer, `read` fails, and so does the job.
_SCRIPT = """\
# gh-runner: the credential of this container is dropped before the first step of a job.
set -e
if [ -p {ask} ]; then
    exec 3<{answer}
    echo >{ask}
    read -r _ <&3
    exec 3<&-
fi
{then}
"""


class StartedHook:
    """The script and its two FIFOs, in the state directory."""

    def __init__(self, settings: Settings) -> None:
        """Make the FIFOs. Raises a Failure (78) if the state directory cannot hold them."""
        self._home = settings.home
        self._paths = [os.path.join(settings.state_dir, name) for name in _NAMES]
        self._is_asked = self._is_answered = False
        self.remove()
        self._script, ask, answer = self._paths
        group = account.require(settings.user).gid
        try:
            files.make_directory(settings.state_dir)
            # Write-only and read-only for the runner's group. O_RDONLY, not O_RDWR: with O_ASYNC
            # our own read() would signal us again, without end.
            self._ask = _fifo(ask, group, 0o620, os.O_RDONLY)
            self._answer = _fifo(answer, group, 0o640, os.O_RDWR)
        except OSError as error:
            raise Failure(
                ExitCode.CONFIG,
                "RUNNER_STATE_DIR: RUNNER_CREDENTIAL=until-job cannot do without it, and"
                f" {settings.state_dir} cannot be written to: {error.strerror}",
                "mount a tmpfs there, or name another directory that belongs to root",
            ) from None
        fcntl.fcntl(self._ask, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(self._ask, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Write the hook, and return the environment that names it; it runs the user's own next."""
        _, ask, answer = (shlex.quote(path) for path in self._paths)
        then = _next_hook(environ.get(HOOK, ""), self._home)
        with open(self._script, "x", encoding="utf-8") as file:
            file.write(_SCRIPT.format(ask=ask, answer=answer, then=then))
            os.fchmod(file.fileno(), _READABLE)
        return {**environ, HOOK: self._script}

    def asks(self) -> bool:
        """Return whether a job waits for an answer; a runner runs one job at a time."""
        if not self._is_asked and not self._is_answered:
            with suppress(BlockingIOError):
                self._is_asked = bool(os.read(self._ask, 1))
        return self._is_asked and not self._is_answered

    def answer(self) -> None:
        """Delete the FIFOs, and let the job begin."""
        self._is_answered = True
        _remove(self._paths[1:])
        os.write(self._answer, b"\n")
        os.close(self._answer)
        os.close(self._ask)

    def remove(self) -> None:
        """Delete the script and the FIFOs."""
        _remove(self._paths)


def problems(settings: Settings) -> list[str]:
    """Return a problem if the listener would not run our hook."""
    # The listener reads .env in its directory, which overrides its environment.
    path = os.path.join(settings.home, ".env")
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            names = {line.partition("=")[0] for line in file}
    except OSError:
        return []
    if settings.credential != "until-job" or HOOK not in names:
        return []
    problem = (
        f"{HOOK}: is set in {path}, which would replace the hook that RUNNER_CREDENTIAL=until-job"
        " needs; set it in the container's environment"
    )
    return [problem]


def _fifo(path: str, group: int, mode: int, access: int) -> int:
    """Make a FIFO with this group and mode, and open it without waiting for the other end."""
    os.mkfifo(path, 0o600)
    if os.geteuid() == 0:
        os.chown(path, 0, group)
    os.chmod(path, mode)
    return os.open(path, access | os.O_NONBLOCK | os.O_CLOEXEC)


def _next_hook(path: str, home: str) -> str:
    """Return a line of shell that executes the user's own hook as GitHub's runner would."""
    quoted = shlex.quote(path)
    match os.path.splitext(path)[1]:
        case "" if not path:
            return "exit 0"
        case ".sh":
            return f"exec bash --noprofile --norc -e -o pipefail {quoted}"
        case ".ps1":
            dotted = shlex.quote(f". '{path}'")
            return f"exec pwsh -command {dotted}"
        case ".js":
            programs = f"{shlex.quote(home)}/externals/node*/bin/node"
            return f'exec "$(ls -d {programs} | tail -n 1)" {quoted}'
    return f"echo {shlex.quote(f'{HOOK}: {path} ends in neither .sh nor .ps1 nor .js')}; exit 1"


def _remove(paths: list[str]) -> None:
    for path in paths:
        with suppress(OSError):
            os.unlink(path)
