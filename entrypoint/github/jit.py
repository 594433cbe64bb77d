"""A just-in-time configuration: one request registers, and answers with the listener's files.

The files are written here, before the listener starts. The listener could also take them as its
option --jitconfig or as a variable, but a job can read its arguments and its environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from entrypoint.errors import ExitCode, Failure
from entrypoint.github import client, runners
from entrypoint.github.client import Client, Reply
from entrypoint.github.runners import Runner
from entrypoint.settings import jit_configuration, runner_names
from entrypoint.settings.parsers import Problem
from entrypoint.settings.schema import Settings
from entrypoint.settings.target import Scope

_DEFAULT_GROUP = 1  # the id of the default group of every list; a repository has no other
_GROUPS_SHOWN = 20
_ARCHITECTURES = {"x86_64": "X64", "aarch64": "ARM64", "armv7l": "ARM"}


def names(name: str) -> tuple[str, str]:
    """Return a runner's name, and the name that is used if GitHub says that the first exists.

    The clean-up after a registration that was cut short looks for both.
    """
    return name, runner_names.substitute(name)


class Made(NamedTuple):
    """A runner that GitHub has registered, and the files that a listener needs to act as it."""

    runner: Runner
    configuration: str  # as GitHub writes it, in base64
    files: Mapping[str, bytes]


def jit_config(api: Client, settings: Settings, name: str) -> Made:
    """Register a runner; return it, with its final name, and its JIT configuration.

    An answer may get lost after GitHub has registered the runner. The next try then gets a 409,
    because the name exists.
    """
    wanted = {
        "runner_group_id": group_id(api, settings.group),
        "labels": labels(settings),
        "work_folder": settings.workdir,
    }
    first, second = names(name)
    reply = _generate(api, wanted, first, also=(409,))
    if reply.status == 409 and _discarded(api, first):
        reply = _generate(api, wanted, first, also=(409,))
    if reply.status == 409:
        reply = _generate(api, wanted, second)
    return _opened(api, reply)


def group_id(api: Client, name: str) -> int:
    """Return the id of a group by its name; the default group needs no request.

    Raises a Failure (78), which lists the groups, if there is no group of that name.
    """
    if name.casefold() in {"", "default"} or api.target.scope is Scope.REPOSITORY:
        return _DEFAULT_GROUP
    path = f"{api.target.path}/actions/runner-groups"
    found = {group["name"]: int(group["id"]) for group in runners.pages(api, path, "runner_groups")}
    if name not in found:
        names = ", ".join(repr(known) for known in sorted(found)[:_GROUPS_SHOWN])
        raise Failure(
            ExitCode.CONFIG,
            f"RUNNER_GROUP: {api.target} has no runner group {name!r}",
            f"make it there, or take one of these: {names}",
        )
    return found[name]


def labels(settings: Settings) -> list[str]:
    """Return all labels, the default ones included: unlike config.sh, the API does not add them."""
    machine = os.uname().machine
    default = ("self-hosted", "Linux", _ARCHITECTURES.get(machine, machine.upper()))
    wanted = settings.labels if settings.no_default_labels else (*default, *settings.labels)
    found: dict[str, str] = {}
    for label in wanted:
        found.setdefault(label.lower(), label)
    return list(found.values())


def _generate(
    api: Client, wanted: Mapping[str, Any], name: str, *, also: tuple[int, ...] = ()
) -> Reply:
    path = f"{api.target.path}/actions/runners/generate-jitconfig"
    return client.request(api, "POST", path, body={"name": name, **wanted}, also=also)


def _discarded(api: Client, name: str) -> bool:
    """Remove the runner of that name if it is ours, registered by a request without an answer.

    Returns whether the name is free.
    """
    found = runners.find(api, name)
    if found is None:
        return True
    if found.busy or found.status != "offline":
        return False
    return runners.delete(api, found.id) is not runners.Removal.BUSY


def _opened(api: Client, reply: Reply) -> Made:
    """Unpack an answer; if its files cannot be understood, remove the runner again."""
    runner = runners.runner(reply["runner"])
    try:
        configuration = str(reply["encoded_jit_config"])
        return Made(runner, configuration, jit_configuration.unpack(configuration))
    except Problem as problem:
        runners.delete(api, runner.id)
        raise Failure(
            ExitCode.DEFECT,
            f"GitHub's answer {problem}",
            "set RUNNER_REGISTRATION=config, and please report this as a defect of gh-runner",
        ) from None


def write(files: Mapping[str, bytes], home: str, uid: int, gid: int) -> None:
    """Write the listener's files, readable for its user only; none of them may exist yet.

    Raises a Failure (76) if one of them cannot be written, as on a full disk.
    """
    for name, content in files.items():
        path = os.path.join(home, name)
        try:
            _write(path, content, uid, gid)
        except OSError as error:
            raise Failure(
                ExitCode.RUNNER,
                f"RUNNER_HOME: {path} cannot be written: {error.strerror}",
                "see to the free space of that directory and to what else is mounted there",
            ) from None


def _write(path: str, content: bytes, uid: int, gid: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        if os.geteuid() == 0:
            os.fchown(file.fileno(), uid, gid)
        file.write(content)
