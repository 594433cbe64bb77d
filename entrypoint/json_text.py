"""Writes JSON, for PID 1: the module `json` loads `re` and `enum`, 1.2 MB of an idle PID 1."""

from __future__ import annotations

# What a text in JSON must not hold as it is (RFC 8259, section 7).
_ESCAPES = {code: f"\\u{code:04x}" for code in range(0x20)}
_ESCAPES |= {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}
_ESCAPES |= {ord('"'): '\\"', ord("\\"): "\\\\"}


def dumps(value: object) -> str:
    """Return a value as JSON; what JSON has no form for becomes a text."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, dict):
        members = (f"{_text(str(name))}: {dumps(member)}" for name, member in value.items())
        return f"{{{', '.join(members)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(dumps, value))}]"
    return _text(str(value))


def _text(value: str) -> str:
    return f'"{value.translate(_ESCAPES)}"'
