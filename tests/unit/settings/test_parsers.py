"""The values that each kind of setting takes, and the messages about others."""

import base64
import contextlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entrypoint.settings import parsers
from entrypoint.settings.parsers import Parser, Problem

PEM = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\nBBBB\n-----END RSA PRIVATE KEY-----\n"
LONG = f"-----BEGIN PRIVATE KEY-----\n{'A' * 64}\n{'B' * 64}\nCC==\n-----END PRIVATE KEY-----\n"

TAKEN: list[tuple[Parser, str, Any]] = [
    (parsers.text, "a b", "a b"),
    (parsers.name, "my-org_1.x", "my-org_1.x"),
    (parsers.name, "", ""),
    *((parsers.flag, word, True) for word in ("1", "true", "YES", "On")),
    *((parsers.flag, word, False) for word in ("0", "false", "NO", "Off")),
    (parsers.seconds, "0", 0.0),
    (parsers.seconds, "1.5", 1.5),
    (parsers.count, "12", 12),
    (parsers.path, "/home/runner", "/home/runner"),
    (parsers.url, "https://ghe.example.com/api/v3/", "https://ghe.example.com/api/v3"),
    (parsers.url, "http://127.0.0.1:80", "http://127.0.0.1"),
    (parsers.url, "HTTPS://GHE.example.com:443/Acme", "https://ghe.example.com/Acme"),
    (parsers.url, "http://[::1]:8080/", "http://[::1]:8080"),
    (parsers.url, "", ""),
    (parsers.host, "GHE.example.com:8443", "ghe.example.com:8443"),
    (parsers.host, "www.github.com", "github.com"),
    (parsers.labels, " gpu, big ,,gpu", ("gpu", "big")),
    (parsers.labels, "", ()),
    (parsers.labels, '"gpu","cuda"', ("gpu", "cuda")),
    (parsers.labels, "'gpu', \"big one\"", ("gpu", "big one")),
    (parsers.some_seconds, "1", 1.0),
    (parsers.repository, "", ""),
    (parsers.repository, "shop.git", "shop"),
    (parsers.repository, "acme/shop", "acme/shop"),
    (parsers.repository, "acme/shop.git", "acme/shop"),
    (parsers.host, "github.com:443", "github.com"),
    (parsers.choice("warning", warn="warning"), "WARN", "warning"),
    (parsers.page, "https://GitHub.com:443/Acme/shop.git", "https://github.com/Acme/shop.git"),
    (parsers.choice("jit", "config"), "JIT", "jit"),
    (parsers.optional(parsers.path), "", ""),
    (parsers.optional(parsers.path), "/x", "/x"),
    (parsers.page, "https://github.com/acme/shop/", "https://github.com/acme/shop"),
    (parsers.page, "https://github.com/enterprises/acme", "https://github.com/enterprises/acme"),
    (parsers.private_key, PEM, PEM),
    (parsers.private_key, PEM.replace("\n", "\\n"), PEM),
    (parsers.private_key, PEM.replace("\n", "\\r\\n"), PEM),
    (parsers.private_key, base64.encodebytes(PEM.encode()).decode(), PEM),
    (parsers.private_key, PEM.replace("RSA ", ""), PEM.replace("RSA ", "")),
    (parsers.private_key, LONG.replace("\n", " "), LONG),
    (parsers.private_key, LONG.replace("\n", "\r"), LONG),
    (parsers.private_key, LONG.replace("\n", ""), LONG),
    (parsers.private_key, LONG.replace("\n", "\n  "), LONG),
]

REFUSED: list[tuple[Parser, str, str]] = [
    (parsers.text, "a\nb", "control character"),
    (parsers.name, "acme/shop", "no URL and no path"),
    (parsers.name, "https://github.com/acme", "no URL and no path"),
    (parsers.name, "a b", "not a name"),
    (parsers.name, "..", "not a name"),
    (parsers.some_seconds, "0", "leaves no time"),
    (parsers.some_seconds, "0.5", "1 or more"),
    (parsers.repository, ".git", "names no repository"),
    (parsers.repository, "acme/", "names no repository"),
    (parsers.repository, "/shop", "names no repository"),
    (parsers.repository, "a/b/c", "no URL and no path"),
    (parsers.page, "https://github.com/acme/.git", "not the page"),
    (parsers.page, "https://github.com//shop", "not the page"),
    (parsers.flag, "maybe", "neither 1 nor 0"),
    (parsers.seconds, "-1", "number of seconds"),
    (parsers.seconds, "nan", "number of seconds"),
    (parsers.seconds, "inf", "number of seconds"),
    (parsers.seconds, "ten", "number of seconds"),
    (parsers.count, "1.5", "whole number"),
    (parsers.count, "-1", "whole number"),
    (parsers.count, "\u0661", "whole number"),
    (parsers.path, "home", "absolute path"),
    (parsers.url, "ghe.example.com", "not a URL"),
    (parsers.url, "https://user:secret@ghe.example.com", "not a URL"),
    (parsers.url, "https://x/y?z=1", "not a URL"),
    (parsers.host, "https://github.com", "without https://"),
    (parsers.host, "api.github.com", "it takes github.com"),
    (parsers.host, "api.acme.ghe.com", "it takes acme.ghe.com"),
    (parsers.host, f"{'x' * 64}.com", "too long"),
    (parsers.host, ".".join(["x" * 60] * 5), "too long"),
    (parsers.url, f"https://{'x' * 64}:8443/api", "too long"),
    (parsers.labels, "x" * 257, "more than 256"),
    (parsers.labels, "a\tb", "control character"),
    (parsers.choice("jit", "config"), "pat", "not one of jit, config"),
    (parsers.page, "https://github.com", "not the page"),
    (parsers.page, "https://github.com/acme/shop/settings", "not the page"),
    (parsers.page, "https://api.github.com/acme", "it takes github.com"),
    (parsers.page, "https://github.com/acme/sh%20op", "not a name"),
    (parsers.page, "github.com/acme", "not a URL"),
    (parsers.private_key, "secret!", "neither"),
    (parsers.private_key, "c2VjcmV0", "not a whole private key"),
    (parsers.private_key, PEM[:-20], "not a whole private key"),
    (parsers.private_key, PEM.replace("PRIVATE", "PUBLIC"), "not a whole private key"),
]


@pytest.mark.parametrize(("parse", "value", "result"), TAKEN)
def test_taken(parse: Parser, value: str, result: Any) -> None:
    """A value that a user would write is accepted."""
    assert parse(value) == result


@pytest.mark.parametrize(("parse", "value", "words"), REFUSED)
def test_refused(parse: Parser, value: str, words: str) -> None:
    """Any other value is refused, and the message says what is accepted."""
    with pytest.raises(Problem, match=words):
        parse(value)


@pytest.mark.parametrize("value", ["secret!", "c2VjcmV0", PEM[:-20], "https://a:secret@b"])
def test_secrets_are_not_repeated(value: str) -> None:
    """A value that may be secret is not part of the message."""
    parse = parsers.url if "://" in value else parsers.private_key
    with pytest.raises(Problem) as problem:
        parse(value)
    assert "c2VjcmV0" not in str(problem.value)
    assert "secret!" not in str(problem.value)
    assert "AAAA" not in str(problem.value)
    assert "secret@" not in str(problem.value)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a loaded machine
@given(st.text(), st.sampled_from([parse for parse, _, _ in TAKEN]))
def test_nothing_else_is_ever_raised(value: str, parse: Parser) -> None:
    """A parser returns a value or raises its own error, whatever the text is."""
    with contextlib.suppress(Problem):
        parse(value)
