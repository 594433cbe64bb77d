"""The job-started hook, by which a job asks PID 1 whether it may begin.

GitHub's runner runs the hook before any code of a workflow, and waits for its end. The hook writes
into a FIFO, and the kernel wakes PID 1 by a signal (O_ASYNC in open(2)). PID 1 deletes the FIFOs
before it answers, so no step of a job ever sees them.
"""

from __future__ import annotations

import fcntl
import os

from entrypoint.container import files
from entrypoint.errors import ExitCode, Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrypoint.settings.plan import Plan
    from entrypoint.settings.schema import Settings

HOOK = "ACTIONS_RUNNER_HOOK_JOB_STARTED"
_NAMES = ("job-started.sh", "job-started.ask", "job-started.answer")
_TRIED = "job-started.check"  # there for a moment, by `try_out`
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

    def __init__(self, plan: Plan) -> None:
        """Make the FIFOs. Raises a Failure (78) if the state directory cannot hold them."""
        self._path = _paths(plan.state_dir)[0]
        self._text = plan.hook
        self._is_asked = self._is_answered = False
        _, ask, answer = _NAMES
        try:
            self._directory = files.open_directory(plan.state_dir)
            self.remove()
            # Write-only and read-only for the runner's group. O_RDONLY, not O_RDWR: with O_ASYNC
            # our own read() would signal us again, without end.
            self._ask = _fifo(self._directory, ask, plan.gid, 0o620, os.O_RDONLY)
            self._answer = _fifo(self._directory, answer, plan.gid, 0o640, os.O_RDWR)
        except OSError as error:
            raise _unusable(plan.state_dir, error) from None
        fcntl.fcntl(self._ask, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(self._ask, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Write the hook, and return the environment that names it."""
        script = self._text.encode(errors="surrogateescape")
        files.put(self._directory, _NAMES[0], script, _READABLE)
        return {**environ, HOOK: self._path}

    def asks(self) -> bool:
        """Return whether a job waits for an answer; a runner runs one job at a time."""
        if not self._is_asked and not self._is_answered:
            try:
                self._is_asked = bool(os.read(self._ask, 1))
            except BlockingIOError:
                pass
        return self._is_asked and not self._is_answered

    def answer(self) -> None:
        """Delete the FIFOs, and let the job begin."""
        self._is_answered = True
        self.remove(*_NAMES[1:])
        os.write(self._answer, b"\n")
        os.close(self._answer)
        os.close(self._ask)

    def remove(self, *names: str) -> None:
        """Delete the script and the FIFOs, or some of them."""
        for name in names or _NAMES:
            try:
                os.unlink(name, dir_fd=self._directory)
            except OSError:
                pass


def script(settings: Settings, environ: Mapping[str, str]) -> str:
    """Return the text of the hook, which runs the user's own next; "" if no job has to ask.

    None has to if a JIT configuration was given, because there is no credential to forget then.
    """
    if settings.keep_credential != "until-job" or settings.registration == "given":
        return ""
    import shlex  # only here, because PID 1 does without it

    _, ask, answer = (shlex.quote(path) for path in _paths(settings.state_dir))
    then = _next_hook(environ.get(HOOK, ""), settings.home)
    return _SCRIPT.format(ask=ask, answer=answer, then=then)


def _paths(state_dir: str) -> list[str]:
    return [os.path.join(state_dir, name) for name in _NAMES]


def problems(settings: Settings) -> list[str]:
    """Return a problem if the listener would not run our hook."""
    # The listener reads .env in its directory, which overrides its environment.
    path = os.path.join(settings.home, ".env")
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            names = {line.partition("=")[0] for line in file}
    except OSError:
        return []
    if settings.keep_credential != "until-job" or HOOK not in names:
        return []
    problem = (
        f"{HOOK}: is set in {path}, which would replace the hook that RUNNER_CREDENTIAL=until-job"
        " needs; set it in the container's environment"
    )
    return [problem]


def try_out(settings: Settings) -> None:
    """Make a FIFO where `StartedHook` would, and remove it; raise the Failure that it would."""
    from entrypoint.container import account  # PID 1 does without it

    try:
        directory = files.open_directory(settings.state_dir)
        try:
            group = account.require(settings.user).gid
            os.close(_fifo(directory, _TRIED, group, 0o640, os.O_RDWR))
            os.unlink(_TRIED, dir_fd=directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise _unusable(settings.state_dir, error) from None


def _unusable(state_dir: str, error: OSError) -> Failure:
    return Failure(
        ExitCode.CONFIG,
        "RUNNER_STATE_DIR: RUNNER_CREDENTIAL=until-job cannot do without it, and"
        f" {state_dir} cannot be written to: {error.strerror}",
        "mount a tmpfs there, or name another directory that belongs to root",
    )


def _fifo(directory: int, name: str, group: int, mode: int, access: int) -> int:
    """Make a FIFO with this group and mode, and open it without waiting for the other end."""
    os.mkfifo(name, 0o600, dir_fd=directory)
    flags = access | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, dir_fd=directory)
    if os.geteuid() == 0:
        os.fchown(descriptor, 0, group)
    os.fchmod(descriptor, mode)
    return descriptor


def _next_hook(path: str, home: str) -> str:
    """Return a line of shell that executes the user's own hook as GitHub's runner would."""
    import shlex  # as above

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
