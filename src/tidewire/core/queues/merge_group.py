"""What may be pushed into a queue, groups of waiting events, and how those of one become fewer (`core/queues/event_queue.py`)."""

import heapq
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import NamedTuple, Protocol, TypeAlias

from msgspec import Struct

from tidewire.core.events.coalescing import Event, MergeRule
from tidewire.core.events.encoding import Entry, decode_body, encode_body, entry_size

entry_id = itemgetter(0)

RuleFailed: TypeAlias = Callable[[str, Exception], None]
"""Is told that the rule of a type failed, and how."""

Made: TypeAlias = Callable[[bytes], None]
"""Is told of every body that merging made, which no delivery has counted (`core/memory.py`)."""


def ignored(_kind: str, _error: Exception) -> None:
    """Ignores the failure of a merge rule."""


def uncounted(_body: bytes) -> None:
    """Counts nothing, where merges are not measured."""


def size_of(entries: Iterable[Entry]) -> int:
    """Bytes that the entries take in an answer, rounded up."""
    return sum(map(entry_size, entries))


class Pushable(Protocol):
    """What a queue needs to know of a shaped event."""

    @property
    def event(self) -> Event:
        """The event as its client sees it."""

    @property
    def kind(self) -> str:
        """The event's type."""

    @property
    def body(self) -> bytes:
        """Its shared bytes."""

    @property
    def rule(self) -> MergeRule | None:
        """How events of its type are compressed, if they are."""

    @property
    def joins(self) -> str | None:
        """The group that its rule has it join; raises what the rule raises."""


class Group:
    """Events that will be merged into one: an open one takes more of them, a closed one doesn't."""

    __slots__ = ("contributors", "kind", "rule")

    def __init__(self, kind: str, rule: MergeRule, contributors: list[Entry]) -> None:
        self.kind = kind
        self.rule = rule
        self.contributors = contributors

    def take(self, through: int) -> list[Entry]:
        """Takes out the contributors up to an id."""
        count = bisect_right(self.contributors, through, key=entry_id)
        taken = self.contributors[:count]
        del self.contributors[:count]
        return taken


class Joined(Struct, frozen=True, array_like=True):
    """What an application's rule made of several events (rule 6)."""

    ids: tuple[int, ...]
    bodies: tuple[bytes, ...]
    """Of the merged events; they have the newest of `ids`, in order."""

    def entries(self) -> list[Entry]:
        """The merged events."""
        newest = self.ids[-len(self.bodies) :]
        return [(event_id, body, b"") for event_id, body in zip(newest, self.bodies, strict=True)]


class Merge(NamedTuple):
    """What must be known to do again what a read did, if it merged events."""

    placed: int
    """Events up to this id had been placed by earlier reads."""
    through: int
    """Events up to this id were merged and placed by this one."""
    joined: tuple[Joined, ...] = ()
    """What applications' rules gave."""


def join(kind: str, rule: MergeRule, entries: list[Entry]) -> Joined:
    """Several entries as one, under the id of the last of them (R1.9), or as a few under the last ids.

    Raises:
        Exception: whatever the rule raises, or what says that its outcome can't be used.
    """
    outcome = rule.merge([decode_body(body + suffix) for _, body, suffix in entries])
    events = [outcome] if isinstance(outcome, Mapping) else list(outcome)
    if not 0 < len(events) <= len(entries):
        raise ValueError(f"{len(entries)} events can't become {len(events)}")
    if any(event["type"] != kind for event in events):
        raise ValueError("a merged event has another type than those that it stands for")
    bodies = tuple(encode_body(dict(event)) for event in events)
    joined = Joined(tuple(entry[0] for entry in entries), bodies)
    # `_cut` goes by the sizes of the single events.
    if size_of(joined.entries()) > size_of(entries):
        raise ValueError("merged events are longer than those that they stand for")
    return joined


def reached(entries: list[Entry], groups: Iterable[Group], max_bytes: int) -> int:
    """The newest id of an answer of `max_bytes`, at least the oldest; a queue that is empty has -1."""
    through, total = -1, 0
    for entry in heapq.merge(entries, *(group.contributors for group in groups), key=entry_id):
        total += entry_size(entry)
        if total > max_bytes and through >= 0:
            return through
        through = entry[0]
    return through
