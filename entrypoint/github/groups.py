"""Runner groups: an organization and an enterprise have them, a repository has not."""

from __future__ import annotations

from entrypoint.errors import ExitCode, Failure
from entrypoint.github import runners
from entrypoint.github.client import Api
from entrypoint.settings.target import Scope

DEFAULT = 1  # the id of each list's default group, and of the only one that a repository has
_SHOWN = 20


def group_id(api: Api, name: str) -> int:
    """Return the id of a group by its name; nothing is asked for the default group.

    Raises a Failure (78) that tells which groups there are.
    """
    if name.casefold() in {"", "default"} or api.target.scope is Scope.REPOSITORY:
        return DEFAULT
    path = f"{api.target.path}/actions/runner-groups"
    found = {group["name"]: int(group["id"]) for group in runners.pages(api, path, "runner_groups")}
    if name not in found:
        names = ", ".join(repr(known) for known in sorted(found)[:_SHOWN])
        raise Failure(
            ExitCode.CONFIG,
            f"RUNNER_GROUP: {api.target} has no runner group {name!r}",
            f"make it there, or take one of these: {names}",
        )
    return found[name]
