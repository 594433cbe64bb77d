"""PID 1 writes JSON as the standard library does, without loading it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from entrypoint import json_text
from entrypoint.errors import ExitCode

PLAIN = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
    ),
    lambda part: st.lists(part) | st.dictionaries(st.text(), part),
)


@given(PLAIN)
def test_it_is_read_as_it_was(value: object) -> None:
    """Each value that JSON has comes back, in the words of the standard library."""
    said = json_text.dumps(value)
    assert json.loads(said) == value
    assert "\n" not in said


def test_other_values() -> None:
    """What JSON has no form for becomes a number or a text."""
    said = json_text.dumps({1: ExitCode.LEFT, "b": (b"x", None)})
    assert json.loads(said) == {"1": 74, "b": ["b'x'", None]}
