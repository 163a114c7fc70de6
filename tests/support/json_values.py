"""Strategies for JSON as it may come from outside."""

from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
"""Any text that JSON can carry: everything but halves of surrogate pairs."""

INTEGERS = st.integers(-(2**63), 2**64 - 1)
"""Integers of 64 bits; larger ones are refused in notices."""

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
"""Any JSON value."""
