"""The names of runners never repeat, fit, and are known again."""

import socket

import pytest

from entrypoint import naming


@pytest.mark.parametrize("prefix", ["shop", "x" * 64, "y" * 200, "a b"])
def test_unique(prefix: str) -> None:
    """A name keeps its prefix as far as it fits, and never repeats."""
    names = {naming.unique(prefix) for _ in range(50)}
    assert len(names) == 50
    for name in names:
        assert len(name) <= 64
        assert name[:-9] == prefix[:55]
        assert naming.made_from(prefix).fullmatch(name)


def test_host_name() -> None:
    """Without a prefix the name begins with the host's."""
    assert naming.unique("").startswith(socket.gethostname()[:55])


def test_substitute() -> None:
    """The substitute differs, is always the same, and is made from the same prefix."""
    name = naming.unique("shop")
    assert naming.substitute(name) == naming.substitute(name) != name
    assert naming.made_from("shop").fullmatch(naming.substitute(name))


@pytest.mark.parametrize("name", ["shop", "shop-2", "shopping-0123abcd", "shop-x-0123abcd", "s"])
def test_others(name: str) -> None:
    """Names that only begin alike are somebody else's."""
    assert not naming.made_from("shop").fullmatch(name)
