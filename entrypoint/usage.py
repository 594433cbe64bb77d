"""`gh-runner --help`: the subcommands, a line each."""

TEXT = """\
usage: gh-runner [run | check | status | sweep | exec | COMMAND] [ARG...]

Without a word: be PID 1, register an ephemeral GitHub Actions runner, run one job, deregister.
Settings come from the environment; the README has the table.

  run              the same
  check [--json]   try everything that `run` needs, without registering anything
  status [--json]  tell whether the runner in this container is healthy
  sweep            take dead runners off GitHub's list; `sweep --help` has the options
  exec COMMAND     run a command under the same PID 1; `exec --help` has the options
  COMMAND          the same
"""
