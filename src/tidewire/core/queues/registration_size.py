"""What a registration keeps in memory: how much that is, and how much it may be.

The figure is of memory and not of text: a character takes up to four bytes, and each narrow term is kept as it came. Queues that were registered alike share all of it, so it is counted once (`core/state/state.py`).
"""

from sys import getsizeof
from typing import TypeAlias

from tidewire.core.errors import RegistrationTooLarge
from tidewire.core.events.capabilities import Capabilities
from tidewire.core.events.narrow import Term

Kept: TypeAlias = tuple[tuple[str, ...] | None, tuple[Term, ...], Capabilities, str]
"""Event types, narrow, capabilities and the client's name: what queues that were registered alike share."""

REGISTRATION = 700
"""Bytes of a registration like no other, beyond the below: its filter, its shape and its capabilities, with their places
in tables. Measured, as all here, by making 20,000."""

TERM = 80
"""Bytes of a narrow term beyond its strings: the pair, and its place. The few that are tested (`essential`) are among those of
the registration."""

EVENT_TYPE = 130
"""Bytes of an event type beyond its string: its places in the list, the sorted list, and the set."""


def size_of(kept: Kept) -> int:
    """Bytes that a registration takes."""
    event_types, narrow, _, client = kept
    size = REGISTRATION + getsizeof(client)
    size += sum(EVENT_TYPE + getsizeof(name) for name in event_types or ())
    return size + sum(TERM + getsizeof(operator) + getsizeof(operand) for operator, operand in narrow)


def check_size(kept: Kept, most: int) -> None:
    """Refuses a registration that is too large.

    Args:
        kept: what would be kept.
        most: bytes that it may take; 0: no bound.

    Raises:
        RegistrationTooLarge: it takes more.
    """
    if 0 < most < (size := size_of(kept)):
        raise RegistrationTooLarge(size, most)
