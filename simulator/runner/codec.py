"""JSON without the import of `json`, which takes 9 ms: its C scanner is enough."""

from _json import encode_basestring_ascii, make_scanner

TYPE_CHECKING = False  # importing `typing` costs 8 ms
if TYPE_CHECKING:
    from typing import Any

BOM = b"\xef\xbb\xbf"


class _Context:
    """The attributes of a JSONDecoder that the C scanner reads."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


_scan = make_scanner(_Context())  # type: ignore[arg-type]  # duck-typed in C


def loads(text: str) -> "Any":
    """Return the value of a JSON text; ValueError if it is none."""
    stripped = text.strip()
    try:
        value, end = _scan(stripped, 0)
    except StopIteration:
        raise ValueError("not JSON: " + stripped[:40]) from None
    if end != len(stripped):
        raise ValueError("more than one JSON value: " + stripped[:40])
    return value


def dumps(value: "Any", margin: str = "") -> str:
    """Return the JSON text of a value; each member of an object has a line of its own."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(dumps(item, margin) for item in value) + "]"
    if not isinstance(value, dict):
        return str(value)
    inner = margin + "  "
    members = [f"{inner}{dumps(str(key))}: {dumps(item, inner)}" for key, item in value.items()]
    return "{\n" + ",\n".join(members) + f"\n{margin}}}" if members else "{}"
