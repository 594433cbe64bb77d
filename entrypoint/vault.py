"""The credential is kept in a sealed memory file (memfd_create(2)), and nowhere else.

/proc/PID/environ shows the environment that a process was started with, for as long as the process
lives. So a PID 1 that finds a secret in its environment executes itself again without the secret.
After that only forked children read the memory files. PID 1's own memory never holds a secret.
"""

from __future__ import annotations

import fcntl
import marshal  # built in, so it loads faster than json; only the same Python reads the data
import os
import sys

from entrypoint.init.child import memory_file

# PID 1 loads this module before it forks the child that registers, so it must load fast. Modules
# that take time are imported in the functions that need them.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SECRETS = {
    "GITHUB_PERSONAL_TOKEN": "personal access token, classic or fine-grained",
    "GITHUB_APP_PRIVATE_KEY": "private key of a GitHub App: PEM, also with \\n or in base64",
    "RUNNER_TOKEN": "registration token, which is valid for an hour only",
    "RUNNER_JITCONFIG": "JIT configuration of one runner, made by `gh-runner jit` or a controller",
    "RUNNER_STOP_SECRET": "what a stop file must hold; no credential",
}
STOP_SECRET = "RUNNER_STOP_SECRET"  # noqa: S105 - its name
# Other variables in which a secret may come, each with our own name for it.
ALIASES = {"ACTIONS_RUNNER_INPUT_JITCONFIG": "RUNNER_JITCONFIG"}
# Variables in which other projects take a secret. settings/migration.py decides, once all settings
# are read, whether such a project is meant. If not, the variable is put back into the environment.
BORROWED = (
    "ACCESS_TOKEN",
    "APP_PRIVATE_KEY",
    "GITHUB_ACCESS_TOKEN",
    "GITHUB_TOKEN",
    "RUNNER_PAT",
    "RUNNER_SECRET",
)
REMOVE_TOKEN = "REMOVE_TOKEN"  # noqa: S105 - the name under which a vault holds one
_DESCRIPTOR = "GH_RUNNER_SECRETS"  # tells the second start which descriptor to take over
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Vault:
    """Secrets in a memory file: written once, and read by processes that have the descriptor."""

    def __init__(self, descriptor: int | None = None) -> None:
        """Make an empty vault, or take over the descriptor of one that an exec has kept open."""
        self.forgotten = False
        self.was_passed_on = descriptor is not None  # by a start before this one
        if descriptor is None:
            descriptor = memory_file("secrets", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor

    def fill(self, secrets: Mapping[str, str]) -> None:
        """Write the secrets, and seal the file: no process can change it any more."""
        os.write(self._descriptor, marshal.dumps(dict(secrets)))
        fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, _SEALS)

    def read(self) -> dict[str, str]:
        """Return the secrets; from then on this process redacts them in all that it logs.

        Call it only in a forked child, because its memory is freed at its end.
        """
        from entrypoint import redaction

        size = os.fstat(self._descriptor).st_size
        written = os.pread(self._descriptor, size, 0)
        content: dict[str, str] = marshal.loads(written) if written else {}  # noqa: S302 - by us
        redaction.hide(*content.values())
        return content

    def forget(self) -> None:
        """Close the memory file; the kernel frees it once no process has it open."""
        if not self.forgotten:
            self.forgotten = True
            os.close(self._descriptor)

    def survive_exec(self) -> int:
        """Keep the descriptor open across the next exec, and return it."""
        os.set_inheritable(self._descriptor, True)
        return self._descriptor


def forbid_core_dumps() -> None:
    """Forbid core dumps to this process, and to the programs that it becomes or starts."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    # The limit is one byte, not 0: with 0 the kernel would still pipe the core to a program that
    # core_pattern names, and with 1 it makes no core at all (core(5); fs/coredump.c). A hard limit
    # that is 0 already cannot be raised.
    least = 0 if hard == 0 else 1
    resource.setrlimit(resource.RLIMIT_CORE, (least, least))


def leave_environment() -> Vault:
    """Move the secrets from the environment into a vault, and return the vault.

    If there are secrets in the environment, this program executes itself again without them, with
    the same arguments and the same signal mask.
    """
    descriptor = os.environ.pop(_DESCRIPTOR, None)
    names = (*SECRETS, *ALIASES, *BORROWED)
    found = {variable: os.environ[variable] for variable in names if variable in os.environ}
    if not found:
        return Vault(int(descriptor) if descriptor else None)
    vault = Vault()
    vault.fill(found)
    clean = {k: v for k, v in os.environ.items() if k not in found}
    clean[_DESCRIPTOR] = str(vault.survive_exec())
    os.execve(sys.executable, sys.orig_argv, clean)
    raise AssertionError("execve returned")
