"""Proxies mean what GitHub's runner takes them to mean; mistakes are corrected or refused."""

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
    """A mistake that can be corrected is, for the listener and jobs as well, with a note."""
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
    ("http://svc:%E2%82%AC@proxy:3128", "only those of Latin-1"),
    ("http://svc:€@proxy:3128", "only those of Latin-1"),
    ("http://proxy:port", "is not of the form"),
    ("http://svc@", "is not of the form"),
    ("http://proxy/path", "is not of the form"),
    ("http://proxy:99999", "a port that does not exist"),
    (f"http://{'x' * 64}:3128", "too long"),
]


@pytest.mark.parametrize(("value", "words"), WRONG)
def test_wrong(value: str, words: str) -> None:
    """The message about a proxy that cannot be parsed shows the right form, not the address."""
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
    """An entry that matches nothing has a note; addresses and ranges match in other programs."""
    assert len(proxies.examine({"NO_PROXY": value}).notes) == notes


PROXY = "http://proxy:3128"
GITHUB, SERVER = "https://api.github.com", "https://GHE.example.com:8443/api/v3"


@pytest.mark.parametrize(
    ("environ", "url", "address"),
    [
        ({}, GITHUB, ""),
        ({"HTTPS_PROXY": PROXY}, GITHUB, PROXY),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other"}, GITHUB, PROXY),
        ({"HTTP_PROXY": PROXY, "ALL_PROXY": PROXY}, GITHUB, ""),
        ({"HTTP_PROXY": PROXY}, "http://127.0.0.1:8080", PROXY),
    ],
)
def test_the_proxy_of_a_url(environ: dict[str, str], url: str, address: str) -> None:
    """The URL's scheme chooses the variable; the name in small letters comes first."""
    assert proxies.choose(environ, url) == address


MATCHES = [
    ("*", GITHUB),
    ("localhost, github.com", GITHUB),
    (".github.com", GITHUB),
    ("API.GITHUB.COM", GITHUB),
    ("api.github.com:443", GITHUB),
    ("example.com", SERVER),
    ("ghe.example.com:8443", SERVER),
    ("10.1.2.3", "https://10.1.2.3"),
    ("10.0.0.0/8", "https://10.1.2.3"),
    ("10.1.2.3:8443", "https://10.1.2.3:8443"),
    ("[fd00::1]", "https://[fd00::1]"),
    ("fd00::1", "https://[fd00::1]:8443"),
    ("fd00::/8", "https://[fd00::1]"),
]
OTHERS = [
    ("hub.com,,", GITHUB),
    ("api.github.com.example.com", GITHUB),
    ("github.com:80", GITHUB),
    ("ghe.example.com:443", SERVER),
    ("*.github.com", GITHUB),
    ("10.0.0.0/8", GITHUB),
    ("10.0.0.0/8,10.0.0.0/99,a/b", "https://192.0.2.1"),
    ("fd00::/8", "https://10.1.2.3"),
]


@pytest.mark.parametrize(
    ("no_proxy", "url", "address"),
    [*((*one, "") for one in MATCHES), *((*one, PROXY) for one in OTHERS)],
)
def test_no_proxy(no_proxy: str, url: str, address: str) -> None:
    """An entry of NO_PROXY is a host and all names below it, a port if given; or a range."""
    assert proxies.choose({"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}, url) == address


@given(st.text(max_size=80))
def test_any_no_proxy_has_a_verdict(value: str) -> None:
    """Whatever NO_PROXY contains, each URL has a proxy or none, and no error."""
    assert proxies.choose({"HTTPS_PROXY": PROXY, "NO_PROXY": value}, GITHUB) in ("", PROXY)


@given(st.text(max_size=80))
def test_any_value_has_a_verdict(value: str) -> None:
    """Whatever a proxy's variable contains, it is right, corrected, or a problem."""
    found = proxies.examine({"HTTP_PROXY": value})
    assert len(found.problems) <= 1
