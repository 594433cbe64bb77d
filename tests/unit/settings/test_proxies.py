"""Proxies are read as GitHub's runner reads them; what it could not parse is put right or told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrypoint.settings import proxies

RIGHT = [
    ("http://proxy:3128", "http://proxy:3128"),
    ("http://proxy:3128/", "http://proxy:3128/"),
    ("HTTP://svc:pa%2Fss@proxy:3128", "http://svc:pa%2Fss@proxy:3128"),
    ('"http://proxy:3128"', "http://proxy:3128"),
    ("proxy.example.com:3128", "http://proxy.example.com:3128"),
    ("svc:secret@proxy:3128", "http://svc:secret@proxy:3128"),
    ("http://[::1]:3128", "http://[::1]:3128"),
]


@pytest.mark.parametrize(("value", "address"), RIGHT)
def test_right(value: str, address: str) -> None:
    """What can be put right is, for the listener and jobs as well, with a note."""
    found = proxies.examine({"HTTPS_PROXY": value})
    assert found.problems == []
    assert found.corrected == ({} if value == address else {"HTTPS_PROXY": address})
    assert len(found.notes) == len(found.corrected)
    assert "secret" not in "".join(found.notes)


WRONG = [
    ("socks5://proxy:1080", "no SOCKS"),
    ("http://svc:a/b@proxy:3128", "/ as %2F"),
    ("http://svc:a#b@proxy:3128", "# as %23"),
    ("http://svc:a?b@proxy:3128", "? as %3F"),
    ("http://svc:a@b@proxy:3128", "@ as %40"),
    ("http://svc:a[b@proxy:3128", "[ as %5B"),
    ("http://svc:50%@proxy:3128", "% as %25"),
    ("http://svc:a b@proxy:3128", "a space as %20"),
    ("http://proxy:port", "is not of the form"),
    ("http://svc@", "is not of the form"),
    ("http://proxy/path", "is not of the form"),
    (f"http://{'x' * 64}:3128", "too long"),
]


@pytest.mark.parametrize(("value", "words"), WRONG)
def test_wrong(value: str, words: str) -> None:
    """What cannot be parsed is refused with the way to write it, and without the address."""
    [problem] = proxies.examine({"https_proxy": value}).problems
    assert problem.startswith("https_proxy: ")
    assert words in problem
    assert value not in problem


@pytest.mark.parametrize(
    ("value", "notes"),
    [
        ("localhost,.corp,10.0.0.0/8,ghe.example.com:8443", 0),
        ("*", 0),
        ("*.corp", 1),
        ("https://ghe.example.com", 1),
        ("a;b", 1),
        ("a b", 1),
    ],
)
def test_exceptions_that_match_nothing(value: str, notes: int) -> None:
    """An entry that no program can match is told; addresses and ranges are for other programs."""
    assert len(proxies.examine({"NO_PROXY": value}).notes) == notes


@given(st.text(max_size=80))
def test_any_value_has_a_verdict(value: str) -> None:
    """Whatever it holds, an address is right, put right, or a problem."""
    found = proxies.examine({"HTTP_PROXY": value})
    assert len(found.problems) <= 1
