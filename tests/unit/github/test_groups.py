"""Runner groups, by their names."""

from typing import Any

import pytest

from entrypoint.errors import ExitCode, Failure
from entrypoint.github import jit
from tests.support import fakehub

SCOPES = {
    "organization": ({"GITHUB_OWNER": "acme"}, "https://api.github.com/orgs/acme"),
    "enterprise": ({"GITHUB_ENTERPRISE": "acme"}, "https://api.github.com/enterprises/acme"),
}


def group(number: int, name: str) -> dict[str, Any]:
    """Return a group as GitHub writes it for either scope."""
    return {
        "id": number,
        "name": name,
        "visibility": "all",
        "default": number == 1,
        "runners_url": "https://api.github.com/x",
        "inherited": False,
        "allows_public_repositories": True,
    }


def page(*entries: dict[str, Any]) -> dict[str, Any]:
    """Return a page of the list of groups."""
    return {"total_count": len(entries), "runner_groups": list(entries)}


@pytest.mark.parametrize(("values", "base"), SCOPES.values(), ids=SCOPES)
def test_group_by_name(values: dict[str, str], base: str) -> None:
    """The name of a group becomes its id, on whatever page it is."""
    with fakehub.hub() as hub:
        url = f"{base}/actions/runner-groups"
        hub.get(url, json=page(*(group(n, f"g{n}") for n in range(1, 101))))
        hub.get(url, json=page(group(777, "builders")))
        assert jit.group_id(fakehub.connect(values), "builders") == 777


@pytest.mark.parametrize("name", ["", "default", "Default"])
def test_the_default_group_costs_no_request(name: str) -> None:
    """The default group is known without asking."""
    with fakehub.hub():
        assert jit.group_id(fakehub.connect({"GITHUB_OWNER": "acme"}), name) == 1


def test_an_unknown_group() -> None:
    """An unknown group is a wrong setting; the message names the existing groups."""
    with fakehub.hub() as hub:
        hub.get(
            "https://api.github.com/orgs/acme/actions/runner-groups",
            json=page(group(1, "Default"), group(2, "builders")),
        )
        with pytest.raises(Failure, match="has no runner group 'builder'") as failure:
            jit.group_id(fakehub.connect({"GITHUB_OWNER": "acme"}), "builder")
    assert failure.value.code is ExitCode.CONFIG
    assert "'Default', 'builders'" in failure.value.hint
