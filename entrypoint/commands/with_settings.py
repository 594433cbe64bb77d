"""What `gh-runner jit` and `sweep` share: settings first, then the work, then an exit code."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from entrypoint import log
from entrypoint.errors import ExitCode, Failure
from entrypoint.settings import sources
from entrypoint.settings.given import Given
from entrypoint.settings.schema import Settings, environment


def run(work: Callable[[Settings, Mapping[str, str]], None], *, event_name: str) -> int:
    """Call work(settings, secrets), and return the exit code; a Failure is logged as that event.

    The settings come from the environment, as for `run`.
    """
    try:
        values = sources.read(Given.divide(environment()))
        environment().update(values.others)  # a proxy, for example
        log.configure(values.settings.log_level, values.settings.log_format)
        work(values.settings, values.secrets)
    except Failure as failure:
        log.error(event_name, failure.message, hint=failure.hint, code=int(failure.code))
        return failure.code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return ExitCode.DONE
