"""The texts of `gh-runner --help` and `gh-runner --version`."""

from __future__ import annotations

VERSION = "0.1.0"  # the same as in pyproject.toml, which the image does not contain
TEXT = """\
usage: gh-runner [run | check | settings | status | sweep | jit | exec | COMMAND] [ARG...]

Without a word: be PID 1, register an ephemeral GitHub Actions runner, run one job, deregister.
Settings come from the environment; the README has the table.

  run              the same
  check [--json]   try everything that `run` needs, without registering anything
  settings         show every setting and where it came from; `--template`: an env file
  status [--json]  tell whether the runner in this container is healthy
  sweep            take dead runners off GitHub's list; `sweep --help` has the options
  jit              register a runner and print its JIT configuration; `jit --help`
  exec COMMAND     run a command under the same PID 1; `exec --help` has the options
  COMMAND          the same
  --version        tell which version this is, and which GitHub's runner has
"""


def version() -> str:
    """Return the line for `--version`."""
    from entrypoint.container import image

    known = image.release()
    runner = f", runner {known['RUNNER_VERSION']}" if "RUNNER_VERSION" in known else ""
    return f"gh-runner {VERSION}{runner}\n"
