"""Checks before the first request to GitHub: the user, the directories, PATH and the limits."""

from __future__ import annotations

import os
from collections.abc import Mapping

from entrypoint.container import files
from entrypoint.container.account import Account, can
from entrypoint.container.kernel import missing_capabilities, pids_limit
from entrypoint.runner import program
from entrypoint.settings.schema import Settings

_AS_ROOT = "RUNNER_ALLOW_RUNASROOT"
_TOOLS = "RUNNER_TOOL_CACHE"  # a variable of GitHub's runner
_PROGRAMS = ("config.sh", "run.sh")
# The entries of a new volume: ext4's own folder, and the mount point of another volume.
_NOTHING = {"lost+found", "_tool"}
# Variables of GitHub's runner that name a script; every job runs it.
_HOOKS = (
    "ACTIONS_RUNNER_HOOK_JOB_STARTED",
    "ACTIONS_RUNNER_HOOK_JOB_COMPLETED",
    "ACTIONS_RUNNER_CONTAINER_HOOKS",
)
_HOOK_ENDINGS = (".sh", ".ps1", ".js")
_FEWEST_PROCESSES = 32  # PID 1, two shells and the threads of .NET; each thread counts


def problems(settings: Settings, user: Account | None) -> list[str]:
    """Return what is wrong with the runner's user, its directory and its work folder."""
    if user is None:
        return [f"RUNNER_USER: this container has no user {settings.user!r}"]
    if os.geteuid() not in (0, user.uid):
        return [f"RUNNER_USER: only root can become {user.name}; start the container as root"]
    if lacking := missing_capabilities():
        problem = (
            f"RUNNER_USER: root cannot run jobs as {user.name} without the capabilities"
            f" {', '.join(lacking)}; add them (--cap-add), or start the container as that user"
            f" (--user {user.name})"
        )
        return [problem]
    limit = pids_limit()
    if limit is not None and limit < _FEWEST_PROCESSES:
        problem = (
            f"the container may have {limit} processes and threads (--pids-limit, TasksMax), and"
            f" GitHub's runner alone has some {_FEWEST_PROCESSES}"
        )
        return [problem]
    missing = [p for p in _PROGRAMS if not os.path.isfile(os.path.join(settings.home, p))]
    if missing:
        return [f"RUNNER_HOME: {settings.home} holds no {' and no '.join(missing)}"]
    found = [
        f"RUNNER_HOME: {user.name} cannot execute {os.path.join(settings.home, name)}; look at its"
        " mode, and whether it is mounted noexec"
        for name in _PROGRAMS
        if not can(user, os.path.join(settings.home, name), os.X_OK)
    ]
    if not can(user, settings.home, os.W_OK | os.X_OK):
        found.append(
            f"RUNNER_HOME: {user.name} cannot write to {settings.home}{_group_remedy(user)}"
        )
    return found + _folder_problems(settings, user) + _stop_file_problems(settings)


def _folder_problems(settings: Settings, user: Account) -> list[str]:
    """Make the work folder if it is missing, and return which folders the user cannot use."""
    folder = settings.workdir_path
    try:
        if not os.path.isdir(folder):
            made = files.open_directory(folder)
            if os.geteuid() == 0:
                os.fchown(made, user.uid, user.gid)
            os.close(made)
    except OSError as error:
        return [f"RUNNER_WORKDIR: {folder} cannot be made: {error.strerror}"]
    # config.sh does not check these: it would register, and then the listener would end at once.
    used = {
        folder: "RUNNER_WORKDIR",
        os.path.join(settings.home, "_diag"): "RUNNER_HOME",
    }
    return [
        f"{setting}: {user.name} cannot write to {path}; {_remedy(path, user)}"
        for path, setting in used.items()
        if os.path.isdir(path) and not _is_usable(path, user)
    ]


def _group_remedy(user: Account) -> str:
    """Return what an image lacks for OpenShift, which chooses a user id in group 0."""
    if user.uid == 0 or user.gid != 0:
        return ""
    return (
        "; let the image give it to group 0 (chgrp -R 0 and chmod -R g=u), or start the container"
        " as root or as the runner's user"
    )


def _remedy(folder: str, user: Account) -> str:
    owner = os.lstat(folder).st_uid
    if owner == user.uid:
        return "it is that user's own: look at its mode, its mount and the folders above it"
    return f"it belongs to uid {owner}; make it that of {user.uid}:{user.gid} (chown)"


def _is_usable(folder: str, user: Account) -> bool:
    """Whether the user can write to a folder; an empty folder of root is given to the user first.

    Docker and Kubernetes mount a new volume as a folder that belongs to root.
    """
    wanted = os.R_OK | os.W_OK | os.X_OK
    if can(user, folder, wanted):
        return True
    if os.geteuid() != 0:
        return False
    try:
        descriptor = files.open_directory(folder, make=False)
        try:
            if os.fstat(descriptor).st_uid == 0 and set(os.listdir(descriptor)) <= _NOTHING:
                os.fchown(descriptor, user.uid, user.gid)
        finally:
            os.close(descriptor)
    except OSError:  # a link, or a read-only volume
        return False
    return can(user, folder, wanted)


def warnings(settings: Settings, user: Account, environ: Mapping[str, str]) -> list[str]:
    """Return warnings about folders with which some jobs will fail, although the runner starts."""
    folder = settings.workdir_path
    found = []
    try:
        if os.statvfs(folder).f_flag & os.ST_NOEXEC:
            found.append(
                f"RUNNER_WORKDIR: {folder} is mounted noexec, so no job can run a program that it"
                " builds or checks out there; mount it with exec (docker run --tmpfs PATH:exec)"
            )
        found += _tool_warnings("RUNNER_WORKDIR", os.path.join(folder, "_tool"), user)
        if tools := environ.get(_TOOLS):
            found += _tool_warnings(_TOOLS, tools, user)
    except OSError:  # it has just been deleted
        pass
    return found


def _tool_warnings(setting: str, tools: str, user: Account) -> list[str]:
    """Return a warning if a folder for tools is writable, but not for jobs."""
    # An image may hold tools that jobs only read, and runners may share a volume so.
    if (
        not os.path.isdir(tools)
        or os.statvfs(tools).f_flag & os.ST_RDONLY
        or _is_usable(tools, user)
    ):
        return []
    warning = (
        f"{setting}: no job can install a tool, since {user.name} cannot write to {tools};"
        f" {_remedy(tools, user)}"
    )
    return [warning]


def _stop_file_problems(settings: Settings) -> list[str]:
    """Return a problem if the stop file's folder is missing: nobody could put the file there."""
    folder = os.path.dirname(settings.stop_file)
    if not folder or os.path.isdir(folder):
        return []
    return [f"RUNNER_STOP_FILE: there is no folder {folder}; it is to be shared with the host"]


def environment_problems(
    environ: Mapping[str, str], settings: Settings, user: Account | None
) -> list[str]:
    """Return what is wrong with the variables that GitHub's programs and setpriv read."""
    return [
        *_root_problems(environ, user),
        *_path_problems(environ, settings, user),
        *_hook_problems(environ, settings, user),
    ]


def _root_problems(environ: Mapping[str, str], user: Account | None) -> list[str]:
    """Return a problem if GitHub's scripts would refuse to run as root."""
    if user is None or user.uid != 0 or environ.get(_AS_ROOT):
        return []
    problem = (
        f"RUNNER_USER: GitHub's runner does not run as {user.name} unless {_AS_ROOT}=1 is set, and"
        " its jobs then own this container; name another user"
    )
    return [problem]


def _hook_problems(
    environ: Mapping[str, str], settings: Settings, user: Account | None
) -> list[str]:
    """Return a problem for each hook that would make GitHub's runner fail every job."""
    found = []
    for name in _HOOKS:
        path = os.path.join(settings.home, environ.get(name, ""))
        if not environ.get(name):
            continue
        if not path.endswith(_HOOK_ENDINGS):
            endings = " nor ".join(_HOOK_ENDINGS)
            found.append(f"{name}: {path} ends in neither {endings}; every job would fail")
        elif not os.path.isfile(path):
            found.append(f"{name}: there is no file {path}, so every job would fail; mount it")
        elif user and not can(user, path, os.R_OK):
            found.append(f"{name}: {user.name} cannot read {path}, so every job would fail")
    return found


def _path_problems(
    environ: Mapping[str, str], settings: Settings, user: Account | None
) -> list[str]:
    """Return a problem if setpriv is not on PATH, as with PATH=$PATH:… in a Docker env file."""
    path = environ.get("PATH", program.PATH)
    command = program.as_user(settings, user, [_PROGRAMS[0]])[0] if user else ""
    if command != "setpriv" or any(
        os.access(os.path.join(directory, command), os.X_OK) for directory in path.split(":")
    ):
        return []
    return [f"PATH: no {command} is found by {path!r}; an env file does not expand variables"]
