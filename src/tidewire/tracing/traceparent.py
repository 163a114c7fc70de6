"""The W3C trace context of a notice, in the form of the HTTP header `traceparent` (Trace Context, section 3.2)."""

import re
from typing import NamedTuple

SAMPLED = 0x01

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
FIRST_VERSION, NO_VERSION = "00", "ff"


class Parent(NamedTuple):
    """The span of another process that ours belong below; `flags` as they came."""

    trace_id: int
    span_id: int
    flags: int

    @property
    def is_sampled(self) -> bool:
        """Whether who began the trace records it."""
        return bool(self.flags & SAMPLED)


def read_traceparent(text: str) -> Parent | None:
    """The parent that a `traceparent` names; None when it is none, which is ignored as the specification asks.

    Of a version after 00 the four fields are read that 00 has, and what follows them is left alone.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == NO_VERSION or (version == FIRST_VERSION and more is not None):
        return None
    parent = Parent(int(trace_id, 16), int(span_id, 16), int(flags, 16))
    return parent if parent.trace_id and parent.span_id else None
