"""The event queue of one client: numbered entries, and groups of events that still wait to be merged.

Rules of this file:

1. Ids start at 0 and rise by one a push, merged or not (R1.3). What a client is given rises strictly.
2. An entry leaves by `prune` alone: delivered is not acknowledged (R1.20).
3. A mergeable event waits in a *group* with its contributors as single entries. Groups are merged when the
   queue is read (R1.11); a conflicting event closes the group first, so nothing merges across it (R1.15).
4. An answer that is cut is never cut inside a group: the part up to the cut is merged and placed, the rest
   goes on waiting. So whatever still waits is newer than all that was ever delivered.
5. Merging several contributors is journalled before the answer leaves, because a client that acknowledges
   an id between them has not seen the older ones. Placing a single one is not: its position says enough,
   and the record of the next merge says up to where events had been placed, so that recovery draws none of
   them into it. A recovered queue may therefore hold as one group what a client was given as several events.
   Such a queue is *resumed*: until the next prune, any id that it has given out, or may have, is a valid
   acknowledgement and prunes what lies at or below it (D3).
"""

import heapq
from bisect import bisect_right, insort
from operator import itemgetter
from typing import NamedTuple, Protocol

from tidewire.core.errors import BadRequest
from tidewire.core.merge import Event, MergeRule
from tidewire.core.wire import ENTRY_FRAME, Entry, decode_body, encode_body, entry_size

_entry_id = itemgetter(0)


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


class Merge(NamedTuple):
    """What must be known to do again what a read did, if it merged events."""

    placed: int
    """Events up to this id had been placed by earlier reads."""
    through: int
    """Events up to this id were merged and placed by this one."""


class Group:
    """Events that will be merged into one: an open one takes more of them, a closed one doesn't."""

    __slots__ = ("contributors", "kind", "rule")

    def __init__(self, kind: str, rule: MergeRule, contributors: list[Entry]) -> None:
        self.kind = kind
        self.rule = rule
        self.contributors = contributors

    def merged(self, count: int) -> Entry:
        """The first `count` contributors as one entry, under the id of the last of them (R1.9)."""
        entries = self.contributors[:count]
        if len(entries) == 1:
            return entries[0]
        event = self.rule.merge([decode_body(body) for _, body, _ in entries])
        return (entries[-1][0], encode_body(event), b"")


class EventQueue:
    """The undelivered and unacknowledged events of one client."""

    __slots__ = (
        "closed",
        "entries",
        "newest_pruned_id",
        "next_event_id",
        "open",
        "placed",
        "resumed",
        "size",
    )

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.open: dict[tuple[str, str], Group] = {}
        """Groups that take more events, by the type of these and the key that their rule gives them."""
        self.closed: list[Group] = []
        self.next_event_id = 0
        self.newest_pruned_id: int | None = -1
        self.placed = -1
        """Newest id that a read has reached in this process."""
        self.resumed = False
        self.size = 0
        """Bytes of all entries and contributors as they would be delivered."""

    def __bool__(self) -> bool:
        return bool(self.entries or self.open or self.closed)

    def __len__(self) -> int:
        return len(self.entries) + sum(len(group.contributors) for group in self.groups())

    def groups(self) -> list[Group]:
        """Everything that waits to be merged."""
        return [*self.open.values(), *self.closed]

    def push(self, shaped: Pushable, suffix: bytes = b"") -> int:
        """Appends one event and returns its id; if its rule raises, nothing has changed."""
        event_id = self.next_event_id
        body = shaped.body
        entry = (event_id, body, suffix)
        if shaped.rule is None:
            self.entries.append(entry)
        else:
            self._push_mergeable(entry, shaped, shaped.rule)
        self.next_event_id = event_id + 1
        self.size += len(body) + len(suffix) + ENTRY_FRAME
        return event_id

    def _push_mergeable(self, entry: Entry, shaped: Pushable, rule: MergeRule) -> None:
        kind, event = shaped.kind, shaped.event
        joined = rule.key(event)
        ended = [key for key in self.open if key[0] == kind and rule.closes(event, key[1])]
        for key in ended:
            self.closed.append(self.open.pop(key))
        if joined is None:
            self.entries.append(entry)
        elif (kind, joined) in self.open:
            self.open[kind, joined].contributors.append(entry)
        else:
            self.open[kind, joined] = Group(kind, rule, [entry])

    def check(self, last_event_id: int) -> None:
        """Validates an acknowledgement without changing anything (R6.40, R6.41).

        Raises:
            BadRequest: the id was pruned before, or was never in this queue.
        """
        pruned = self.newest_pruned_id
        if last_event_id == pruned:
            return
        if pruned is not None and last_event_id < pruned:
            raise BadRequest(f"An event newer than {last_event_id} has already been pruned!")
        if not self._holds(last_event_id):
            raise BadRequest(f"Event {last_event_id} was not in this queue")

    def _holds(self, event_id: int) -> bool:
        count = bisect_right(self.entries, event_id, key=_entry_id)
        if count and self.entries[count - 1][0] == event_id:
            return True
        if self.newest_pruned_id is None and not count:
            # Restored from a dump that doesn't say what was pruned, and nothing would be (R2.30).
            return True
        return self.resumed and (self.newest_pruned_id or 0) <= event_id < self.next_event_id

    def prune(self, through: int) -> int:
        """Drops what an acknowledgement covers and returns how many events that were.

        `check` comes first: this method takes any id.
        """
        pruned = self.newest_pruned_id
        if pruned is not None and through <= pruned:
            return 0
        dropped = self._prune_entries(through) + self._prune_groups(through)
        if dropped or pruned is not None:
            self.newest_pruned_id = through
            self.resumed = False
        return dropped

    def _prune_entries(self, through: int) -> int:
        count = bisect_right(self.entries, through, key=_entry_id)
        if count == len(self.entries) and not (self.open or self.closed):
            self.size = 0
            self.entries.clear()
        else:
            self.size -= sum(map(entry_size, self.entries[:count]))
            del self.entries[:count]
        return count

    def _prune_groups(self, through: int) -> int:
        dropped = 0
        for group in self.groups():
            count = bisect_right(group.contributors, through, key=_entry_id)
            dropped += count
            self.size -= sum(map(entry_size, group.contributors[:count]))
            del group.contributors[:count]
        if dropped:
            self._forget_empty_groups()
        return dropped

    def _forget_empty_groups(self) -> None:
        self.open = {key: group for key, group in self.open.items() if group.contributors}
        self.closed = [group for group in self.closed if group.contributors]

    def read(self, max_bytes: int, *, merging: bool = True) -> tuple[list[Entry], Merge | None]:
        """The entries for one answer, oldest first, and what is to be journalled before it leaves.

        The answer has at most `max_bytes` (0: no bound), but at least one event if there is any. There is
        nothing to be journalled unless several events were merged into one; without `merging` none are, and
        the answer ends before the first event that would have to be.
        """
        through = self._cut(max_bytes)
        if not merging:
            through = min(through, self._unmerged())
        placed = self.placed
        self.placed = max(placed, through)
        merged = bool(self.open or self.closed) and self.seal(through)
        merge = Merge(placed, through) if merged else None
        if through == self.next_event_id - 1:
            return self.entries.copy(), merge
        return self.entries[: bisect_right(self.entries, through, key=_entry_id)], merge

    def redo(self, merge: Merge) -> None:
        """In recovery: what was placed singly is placed singly, and the rest is merged."""
        for group in self.groups():
            count = bisect_right(group.contributors, merge.placed, key=_entry_id)
            for entry in group.contributors[:count]:
                insort(self.entries, entry, key=_entry_id)
            del group.contributors[:count]
        self.seal(merge.through)

    def seal(self, through: int) -> bool:
        """Merges and places what waits up to the id `through`; whether several events became one."""
        merged = False
        for group in self.groups():
            count = bisect_right(group.contributors, through, key=_entry_id)
            if not count:
                continue
            merged |= count > 1
            entry = group.merged(count)
            self.size += entry_size(entry) - sum(map(entry_size, group.contributors[:count]))
            insort(self.entries, entry, key=_entry_id)
            del group.contributors[:count]
        self._forget_empty_groups()
        return merged

    def _unmerged(self) -> int:
        """The newest id that an answer without merges reaches.

        Of each group it may take one event, so there is always some progress.
        """
        second = [group.contributors[1][0] for group in self.groups() if len(group.contributors) > 1]
        return min(second, default=self.next_event_id) - 1

    def _cut(self, max_bytes: int) -> int:
        """The newest id that an answer of `max_bytes` reaches; merging only makes events shorter."""
        newest = self.next_event_id - 1
        if not max_bytes or self.size <= max_bytes:
            return newest
        waiting = (group.contributors for group in self.groups())
        through, total = -1, 0
        for entry in heapq.merge(self.entries, *waiting, key=_entry_id):
            total += entry_size(entry)
            if total > max_bytes and through >= 0:
                return through
            through = entry[0]
        return newest
