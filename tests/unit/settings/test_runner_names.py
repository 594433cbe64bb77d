"""The names of runners are unique, short enough, and recognised later."""

import socket

import pytest

from entrypoint.settings import runner_names


@pytest.mark.parametrize("prefix", ["shop", "x" * 64, "y" * 200, "a b"])
def test_unique(prefix: str) -> None:
    """A name keeps its prefix as far as it fits, and never repeats."""
    names = {runner_names.unique(prefix) for _ in range(50)}
    assert len(names) == 50
    for name in names:
        assert len(name) <= 64
        assert name[:-9] == prefix[:55]
        assert runner_names.made_from(prefix).fullmatch(name)


def test_host_name() -> None:
    """Without a prefix the name begins with the host's."""
    assert runner_names.unique("").startswith(socket.gethostname()[:55])


def test_substitute() -> None:
    """The substitute differs, is always the same, and has the same prefix."""
    name = runner_names.unique("shop")
    assert runner_names.substitute(name) == runner_names.substitute(name) != name
    assert runner_names.made_from("shop").fullmatch(runner_names.substitute(name))


@pytest.mark.parametrize("name", ["shop", "shop-2", "shopping-0123abcd", "shop-x-0123abcd", "s"])
def test_others(name: str) -> None:
    """A name that begins alike but has another form is not recognised."""
    assert not runner_names.made_from("shop").fullmatch(name)
