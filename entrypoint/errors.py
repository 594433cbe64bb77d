"""The exit codes, and the one exception that ends the program with one of them."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the container's exit code means; numbers as in sysexits.h where one fits."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> ExitCode:
        """Take the number as the value, and keep the meaning beside it."""
        code = int.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        return code

    DONE = 0, "one job ran to its end, or the idle time was up; the runner is off the list"
    VERSION = 7, "GitHub no longer accepts this runner version: rebuild the image"
    ENGINE = 69, "the container engine did not start; the tail of its log is printed"
    DEFECT = 70, "a defect in gh-runner itself; please report it"
    LEFT = 74, "the runner may still be registered; its name and id are in the last message"
    RETRY = 75, "GitHub could not be reached, failed or limited us past the deadline: try later"
    RUNNER = 76, "config.sh or the listener failed, or the registration vanished before a job"
    REFUSED = 77, "GitHub refused the credential or its permissions"
    CONFIG = 78, "the settings are wrong; every problem is listed"
    INTERRUPTED = 130, "stopped by SIGINT, and everything was cleaned up"
    TERMINATED = 143, "stopped by SIGTERM, and everything was cleaned up"


class Failure(Exception):
    """An end that an operator can cause or cure: one message, one hint, one exit code.

    It is printed as it is, without a traceback, so the message names what was asked or set, and
    the hint says what to do. Neither may hold a secret.
    """

    def __init__(self, code: ExitCode, message: str, hint: str = "") -> None:
        """Keep the three parts; `hint` may be empty where the message says it all."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
