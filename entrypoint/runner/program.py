"""The command lines and the environment of GitHub's own programs (actions/runner)."""

from __future__ import annotations

import os
from collections.abc import Mapping

from entrypoint.container import account, kernel
from entrypoint.container.account import Account
from entrypoint.settings.schema import Settings, ours

TOKEN_VARIABLE = "ACTIONS_RUNNER_INPUT_TOKEN"  # noqa: S105 - config.sh's --token, not in argv
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def as_user(settings: Settings, user: Account, argv: list[str]) -> list[str]:
    """Return the command line that runs a program as that user, with fewer capabilities than PID 1.

    One capability of PID 1 is out of reach for the program and all its descendants, even as root by
    sudo. So the kernel denies them PID 1's environment, memory and descriptors
    (ptrace_may_access; proc_pid_environ(5)). With RUNNER_SUDO=0 setuid programs such as sudo do not
    become root there (PR_SET_NO_NEW_PRIVS in prctl(2)); sudo's files stay as they are.
    """
    options = [] if settings.sudo else ["--no-new-privs"]
    if os.geteuid() == 0:
        options += [f"--reuid={user.uid}", f"--regid={user.gid}", _groups(user)]
        options += ["--inh-caps=-all", *_bounding_set(settings)]
    return ["setpriv", *options, "--", *argv] if options else argv


def _groups(user: Account) -> str:
    """Return setpriv's option for the groups of a job (see account.groups)."""
    return f"--groups={','.join(map(str, account.groups(user)))}"


def _bounding_set(settings: Settings) -> list[str]:
    """Return setpriv's option that drops one capability for good; empty without CAP_SETPCAP."""
    if not kernel.has_capability(kernel.CAP_SETPCAP, "CapEff"):
        return []
    dropped = (
        "setpcap"
        if settings.allow_ptrace or not kernel.has_capability(kernel.CAP_SYS_PTRACE)
        else "sys_ptrace"
    )
    return [f"--bounding-set=-{dropped}"]


def base_environment(environ: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """Return the container's environment without our settings, with the private authority."""
    trust: Mapping[str, str] = {}
    if settings.ca_file:
        from entrypoint.container import certificates  # only here: few have a private authority

        trust = certificates.environment(settings.ca_file, settings.state_dir)
    kept = {k: v for k, v in environ.items() if k not in ours()}
    return {"PATH": PATH, **kept, **trust}


def environment(base: Mapping[str, str], user: Account) -> dict[str, str]:
    """Return the listener's environment. Every job inherits it, so no setting of ours is in it."""
    return {
        **base,
        "HOME": user.home,
        "USER": user.name,
        "LOGNAME": user.name,
        # The listener then ends with 7 if GitHub no longer accepts its version, instead of 1.
        "ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE": "1",
    }


def config_command(settings: Settings, name: str) -> list[str]:
    """Return the command that registers. The token is not in it, because arguments are public."""
    options = {
        "--url": settings.web_url,
        "--name": name,
        "--work": settings.workdir,
        "--labels": ",".join(settings.labels),
        "--runnergroup": settings.group,
    }
    flags = {
        "--ephemeral": settings.ephemeral,
        "--disableupdate": settings.disable_update,
        "--no-default-labels": settings.no_default_labels,
    }
    command = [f"{settings.home}/config.sh", "--unattended", "--replace"]
    command += [word for option, value in options.items() if value for word in (option, value)]
    return command + [flag for flag, wanted in flags.items() if wanted]
