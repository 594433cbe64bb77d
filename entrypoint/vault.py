"""Where the credential lives: in a sealed memory file, and nowhere else.

/proc/1/environ shows what a process was started with for as long as it lives, so a PID 1 that
found a secret there starts itself again without it. Afterwards the secrets are in memory files
(memfd_create(2)) that only forked children read: PID 1's own memory never holds one.
"""

from __future__ import annotations

import fcntl
import marshal  # needs no loading, unlike json, and no other Python will read it
import os
import sys

from entrypoint.init.child import memory_file

# Loaded by PID 1 before it forks the child that registers: what takes time is loaded where needed.
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
# Other names under which a secret comes in, and the name that it has here.
ALIASES = {"ACTIONS_RUNNER_INPUT_JITCONFIG": "RUNNER_JITCONFIG"}
# Names of other projects for a secret. Whether they are meant is known only once all settings are
# read (settings/migration.py); those that are not go back to where they came from.
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
    """Secrets in a memory file: written once, read by whoever was given the descriptor."""

    def __init__(self, descriptor: int | None = None) -> None:
        """Make an empty one, or take over one that was filled before an exec."""
        self.forgotten = False
        if descriptor is None:
            descriptor = memory_file("secrets", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor

    def fill(self, secrets: Mapping[str, str]) -> None:
        """Write the secrets and seal them: nobody can change them any more."""
        os.write(self._descriptor, marshal.dumps(dict(secrets)))
        fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, _SEALS)

    def read(self) -> dict[str, str]:
        """Return the secrets; for forked children only, whose memory ends with them.

        From then on nothing that such a child logs can hold one of them.
        """
        from entrypoint import redaction

        size = os.fstat(self._descriptor).st_size
        written = os.pread(self._descriptor, size, 0)
        content: dict[str, str] = marshal.loads(written) if written else {}  # noqa: S302 - by us
        redaction.hide(*content.values())
        return content

    def forget(self) -> None:
        """Let go of the memory file: with its last descriptor the kernel frees its pages."""
        if not self.forgotten:
            self.forgotten = True
            os.close(self._descriptor)

    def survive_exec(self) -> int:
        """Let the descriptor through the next exec, and return it."""
        os.set_inheritable(self._descriptor, True)
        return self._descriptor


def forbid_core_dumps() -> None:
    """Forbid them to the programs that this process becomes and starts with a token.

    One byte, and not none: with a limit of 0 a program in core_pattern would still get the core,
    with 1 the kernel makes none at all (core(5); fs/coredump.c).
    """
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    least = 0 if hard == 0 else 1  # a limit that is 0 already cannot be raised, and need not be
    resource.setrlimit(resource.RLIMIT_CORE, (least, least))


def leave_environment() -> Vault:
    """Return the secrets of the environment, which holds none when this returns.

    Starts this program again where there were any, with the same arguments and signal mask.
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
