"""The exit codes, and the one exception that ends the program with one of them."""

from __future__ import annotations

import errno


class ExitCode(int):
    """One of the exit codes of the container, which are those of sysexits.h where one fits.

    This is no enum, because to load `enum` takes 0.8 MB of an idle PID 1.
    """

    DONE: ExitCode
    VERSION: ExitCode
    ENGINE: ExitCode
    DEFECT: ExitCode
    LEFT: ExitCode
    RETRY: ExitCode
    RUNNER: ExitCode
    REFUSED: ExitCode
    CONFIG: ExitCode
    INTERRUPTED: ExitCode
    TERMINATED: ExitCode

    @property
    def meaning(self) -> str:
        """What the exit code means, as in the README's table."""
        return MEANINGS[self]


ExitCode.DONE = ExitCode(0)
ExitCode.VERSION = ExitCode(7)
ExitCode.ENGINE = ExitCode(69)
ExitCode.DEFECT = ExitCode(70)
ExitCode.LEFT = ExitCode(74)
ExitCode.RETRY = ExitCode(75)
ExitCode.RUNNER = ExitCode(76)
ExitCode.REFUSED = ExitCode(77)
ExitCode.CONFIG = ExitCode(78)
ExitCode.INTERRUPTED = ExitCode(130)
ExitCode.TERMINATED = ExitCode(143)

MEANINGS = {
    ExitCode.DONE: "one job ran to its end, or no job came in time",
    ExitCode.VERSION: "GitHub no longer accepts this runner version: rebuild the image",
    ExitCode.ENGINE: "the container engine did not start; the tail of its log is printed",
    ExitCode.DEFECT: "a defect in gh-runner itself; please report it",
    ExitCode.LEFT: "the runner may still be registered; its name and id are in the last message",
    ExitCode.RETRY: "try later: GitHub is out of reach, failed or limited us, or a disk is full",
    ExitCode.RUNNER: "config.sh or the listener failed, or the registration vanished before a job",
    ExitCode.REFUSED: "GitHub refused the credential or its permissions",
    ExitCode.CONFIG: "the settings are wrong; every problem is listed",
    ExitCode.INTERRUPTED: "stopped by SIGINT, and everything was cleaned up",
    ExitCode.TERMINATED: "stopped by SIGTERM, and everything was cleaned up",
}


_LIMITS = {
    "fork(2)": "raise the limit of processes (--pids-limit, TasksMax, ulimit -u); a job needs many",
    "posix_spawn(3)": "raise the limits of processes and memory, and see to PATH in the container",
    "memfd_create(2)": "allow memfd_create in the seccomp profile: secrets are kept in such files",
}


def refused_by_kernel(error: OSError) -> Failure | None:
    """Return the Failure (78) for an error of a system call that the container's limits refuse.

    Returns None for other errors. The code that makes such a call adds the call's name to the error
    as a note.
    """
    if error.errno in (errno.EMFILE, errno.ENFILE):  # any call that opens something, open(2) too
        return Failure(
            ExitCode.CONFIG,
            f"the container may not open enough files: {error.strerror}",
            "raise the limit of open files (--ulimit nofile=…, LimitNOFILE=); a job needs many",
        )
    if error.errno == errno.EFBIG:  # RLIMIT_FSIZE counts for files in memory as well
        return Failure(
            ExitCode.CONFIG,
            f"the container may not write large enough files: {error.strerror}",
            "raise the limit of file sizes (--ulimit fsize=…, LimitFSIZE=); a job needs large ones",
        )
    for call in getattr(error, "__notes__", ()):
        if call in _LIMITS:
            what = f" ({error.filename})" if error.filename else ""
            message = f"the container does not allow {call}{what}: {error.strerror}"
            return Failure(ExitCode.CONFIG, message, _LIMITS[call])
    return None


class Failure(Exception):
    """An end of the program that an operator can cause or cure: a message, a hint, an exit code.

    It is printed without a traceback. So the message names the request or the setting, and the
    hint says what to do. Neither may contain a secret.
    """

    def __init__(
        self,
        code: ExitCode,
        message: str,
        hint: str = "",
        problems: tuple[str, ...] = (),
        **fields: str | int,
    ) -> None:
        """Keep the parts; `hint` may be empty if the message says it all.

        `problems` has each problem that the message lists. `fields` are for programs that read the
        log: the `kind`, `method`, `path`, `status` and `request_id` of a refusal by GitHub.
        """
        super().__init__(message)
        self.problems = problems
        self.fields = fields
        self.code = code
        self.message = message
        self.hint = hint
