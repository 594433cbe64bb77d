"""Secrets in messages are replaced, in whatever form and however they are cut."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrypoint import redaction, secret_forms
from entrypoint.redaction import redact, shown
from tests.support.secrets import FORMS, app_key, parts_in


@pytest.mark.parametrize("form", FORMS)
def test_what_looks_like_a_secret(form: str) -> None:
    """Tokens, keys and passwords in addresses are replaced even if they are not known."""
    secret, said = FORMS[form](1)
    for text in (
        f"cannot use {said}",
        f"cannot use {said!r}: it is wrong",
        f"GET {said} failed",
        f"unknown option --{said}",
        f"no file /run/secrets/{said}",
    ):
        assert parts_in(secret, redact(text)) == []


@given(st.one_of([st.from_regex(form) for form in secret_forms.ALL]))
def test_no_form_is_overlooked(text: str) -> None:
    """The quick look, which spares PID 1 the forms themselves, lets no secret pass."""
    assert redact(text) == secret_forms.masked(text, redaction.MASK)


@pytest.mark.parametrize(
    "text",
    [
        "POST /repos/acme/shop/actions/runners/registration-token: 401 Bad credentials",
        "the listener ended; see /home/runner/_diag/Runner_20260101-000000-utc.log",
        "ghcr.io/acme/image:1.2@sha256:0123456789012345678901234567890123456789012345678901234567890123",
        "runner-0a1b2c3d, id 42, request 4C12:3F00:0AB1:66D2:65000000",
        "is no whole private key, -----BEGIN to -----END",
        "write to security@example.com: we answer",
        "/var/lib/docker/overlay2/0123456789abcdefABCDEF0123456789abcdef0123456789abcdef01234567/merged",
        "/opt/Shop1/releases/20260101/Components/Checkout/Templates/Production/Europe/Invoices",
        "as in http://USER:PASSWORD@HOST:PORT, or http://[USER:PASSWORD@]HOST[:PORT]",
        "next",
    ],
)
def test_what_does_not(text: str) -> None:
    """Paths, digests, ids and addresses stay as they are."""
    assert redact(text) == text


SECRET = st.text(min_size=8, max_size=80)
ROUND = st.text(max_size=40)


@given(SECRET, ROUND, ROUND, st.data())
def test_no_part_of_what_is_known(
    secret: str, before: str, after: str, data: st.DataObject
) -> None:
    """Of a known secret no eight characters stay, wherever it is cut."""
    redaction.hide(secret)
    start = data.draw(st.integers(0, len(secret) - 8))
    part = secret[start : data.draw(st.integers(start + 8, len(secret)))]
    for form in (part, quote(part)):
        assert form not in redact(before + form + after)
    assert part.upper() not in redact(part.upper()) or not part.isascii()


def test_a_key_is_hidden_line_by_line() -> None:
    """No line of a key stays, however its line breaks are written; nor of the key in base64."""
    key = app_key()
    redaction.hide(key)
    for text in (key, key.replace("\n", "\\n"), key.replace("\n", " "), key.replace("\n", "")):
        body = text.replace("-----BEGIN PRIVATE KEY-----", "")
        assert parts_in(key, redact(f"{body!r} is wrong")) == []
    encoded = base64.b64encode(key.encode()).decode()
    assert parts_in(encoded, redact(f"{encoded} is wrong")) == []


@pytest.mark.parametrize("secret", ["a", "to", "run"])
def test_what_is_no_secret_is_said(secret: str) -> None:
    """A secret of a few letters is not replaced, because it would make messages unreadable."""
    redaction.hide(secret)
    assert redact("to run it a next time") == "to run it a next time"


def test_a_short_password_is_hidden_as_a_word() -> None:
    """A password under eight characters is replaced where it is a word of its own."""
    redaction.hide_user_info({"HTTPS_PROXY": "http://svc:hunter2@proxy:3128"})
    assert redact("tried hunter2, not hunter22") == "tried ***, not hunter22"


@pytest.mark.parametrize("secret", ["hunter2", "correct horse battery staple", "p%40ss-w%C3%B6rd"])
def test_parts_of_a_secret_are_enough(secret: str) -> None:
    """A process that gets a secret's parts from another one redacts the secret as that one does."""
    redaction.hide_parts(redaction.parts(secret))
    assert parts_in(secret, redact(f"cannot reach http://proxy: {secret} is refused")) == []


def test_values_are_shown_only_if_they_are_harmless() -> None:
    """Messages repeat short values, and describe values that are long or look like secrets."""
    assert shown("perhaps") == "'perhaps'"
    assert shown("ghp_" + "a" * 36) == "a value of 40 characters"
    assert shown("x" * 200) == "a value of 200 characters"


def test_everything_in_a_record() -> None:
    """Secrets in a record's lists and objects are replaced as well."""
    redaction.hide("plain-secret")
    record = {"why": ["plain-secret", 1, {"plain-secret": None}], "n": 2.5}
    assert redaction.redact_all(record) == {"why": ["***", 1, {"***": None}], "n": 2.5}
