"""The event queue of one client: numbered entries, and groups of events that still wait to be merged.

`waiting` and `merged` tell, by comparing a queue before and after a merge, which entries a new one has replaced.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from itertools import takewhile

from tidewire.core.errors import BadRequest
from tidewire.core.events.coalescing import MERGE_RULES, MergeRule
from tidewire.core.events.encoding import ENTRY_FRAME, Entry, entry_size
from tidewire.core.notifications.decisions import PendingNotification
from tidewire.core.notifications.worker_records import NotificationDecision
from tidewire.core.queues.merge_group import (
    Group,
    Joined,
    Made,
    Merge,
    Pushable,
    RuleFailed,
    entry_id,
    ignored,
    join,
    reached,
    size_of,
    uncounted,
)


class EventQueue:
    """The undelivered and unacknowledged events of one client."""

    __slots__ = (
        "closed",
        "entries",
        "missed",
        "newest_pruned_id",
        "next_event_id",
        "open",
        "placed",
        "resumed",
        "since",
        "size",
    )

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.open: dict[str, dict[str, Group]] = {}
        """Groups that take more events, by the type of these, then by the key that their rule gives them."""
        self.closed: list[Group] = []
        self.next_event_id = 0
        self.newest_pruned_id: int | None = -1
        self.placed = -1
        """Newest id that a read has reached in this process."""
        self.resumed = False
        self.missed: dict[int, PendingNotification] | None = None
        """What the owner may have missed, by the id of the event that says it; None when there is nothing."""
        self.size = 0
        """Bytes of all entries and contributors as they would be delivered."""
        self.since = 0.0
        """When the oldest event that is still here came, or somewhat before; kept by those who push and prune."""

    def __bool__(self) -> bool:
        return bool(self.entries or self.open or self.closed)

    def __len__(self) -> int:
        return len(self.entries) + sum(len(group.contributors) for group in self.groups())

    def groups(self) -> list[Group]:
        """Everything that waits to be merged."""
        if not self.open:
            return self.closed.copy()
        return [*(group for groups in self.open.values() for group in groups.values()), *self.closed]

    def push(self, shaped: Pushable, suffix: bytes = b"", missed: PendingNotification | None = None) -> int:
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
        if missed is not None:
            self._keep_missed(event_id, missed)
        return event_id

    def push_alone(
        self, shaped: Pushable, suffix: bytes = b"", missed: PendingNotification | None = None
    ) -> int:
        """Appends an event whose rule raised: it stands alone, and nothing of its type merges across it."""
        self._close(shaped.kind, self.open.get(shaped.kind, ()))
        entry = (self.next_event_id, shaped.body, suffix)
        self.entries.append(entry)
        self.next_event_id += 1
        self.size += entry_size(entry)
        if missed is not None:
            self._keep_missed(entry[0], missed)
        return entry[0]

    def _keep_missed(self, event_id: int, missed: PendingNotification) -> None:
        if self.missed is None:
            self.missed = {}
        self.missed[event_id] = missed

    def _push_mergeable(self, entry: Entry, shaped: Pushable, rule: MergeRule) -> None:
        kind, joins = shaped.kind, shaped.joins
        groups = self.open.get(kind)
        # Most events end nothing, and then nothing is made anew.
        if groups and (ended := rule.closes(shaped.event, groups.keys())):
            if isinstance(ended, str):
                raise TypeError("the keys that an event closes must be a collection, not one string")
            self._close(kind, ended)
            groups = self.open.get(kind)
        if joins is None:
            self.entries.append(entry)
        elif groups is None:
            self.open[kind] = {joins: Group(kind, rule, [entry])}
        elif joins in groups:
            groups[joins].contributors.append(entry)
        else:
            groups[joins] = Group(kind, rule, [entry])

    def _close(self, kind: str, keys: Iterable[str]) -> None:
        """Closes those of the groups that are open."""
        ended = set(keys)
        if not ended:
            return
        waiting = self.open[kind]
        # In their own order: what a queue does must not depend on that of a set.
        self.closed += [group for key, group in waiting.items() if key in ended]
        self.open[kind] = {key: group for key, group in waiting.items() if key not in ended}
        if not self.open[kind]:
            del self.open[kind]

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
        if self.entries and self.entries[-1][0] == event_id:
            return True  # nearly always: the client has read all there was
        count = bisect_right(self.entries, event_id, key=entry_id)
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
        dropped = self._prune_entries(through)
        if self.open or self.closed:
            dropped += self._prune_groups(through)
        if self.missed is not None:
            self._prune_missed(self.missed, through)
        if dropped or pruned is not None:
            self.newest_pruned_id = through
            # What is left may have been given under other ids before the crash.
            self.resumed = self.resumed and bool(self)
        return dropped

    def _prune_entries(self, through: int) -> int:
        entries = self.entries
        if not entries:
            return 0
        if entries[-1][0] <= through:
            count = len(entries)
            self.size = 0 if not (self.open or self.closed) else self.size - size_of(entries)
            entries.clear()
            return count
        count = bisect_right(entries, through, key=entry_id)
        self.size -= size_of(entries[:count])
        del entries[:count]
        return count

    def _prune_groups(self, through: int) -> int:
        dropped = 0
        for group in self.groups():
            taken = group.take(through)
            dropped += len(taken)
            self.size -= size_of(taken)
        if dropped:
            self._forget_empty_groups()
        return dropped

    def _prune_missed(self, missed: dict[int, PendingNotification], through: int) -> None:
        for event_id in list(takewhile(through.__ge__, missed)):
            del missed[event_id]
        if not missed:
            self.missed = None

    def mark(self, notified: Mapping[int, NotificationDecision]) -> None:
        """Notes that the owner was notified of messages, by the messages' ids (R5.36)."""
        for event_id, missed in (self.missed or {}).items():
            one = notified.get(missed.message_id)
            if one is not None and self.missed is not None:
                self.missed[event_id] = missed.marked(one)

    def _forget_empty_groups(self) -> None:
        self.closed = [group for group in self.closed if group.contributors]
        still_open = {
            kind: {key: group for key, group in groups.items() if group.contributors}
            for kind, groups in self.open.items()
        }
        self.open = {kind: groups for kind, groups in still_open.items() if groups}

    def read(
        self,
        max_bytes: int,
        rule_failed: RuleFailed = ignored,
        made: Made = uncounted,
        *,
        merging: bool = True,
    ) -> tuple[list[Entry], Merge | None]:
        """The entries for one answer, oldest first, and what is to be journalled before it leaves.

        The answer has at most `max_bytes` (0: no bound), but at least one event if there is any. There is
        nothing to be journalled unless several events were merged into one; without `merging` none are, and
        the answer ends before the first event that would have to be.
        """
        through = self._cut(max_bytes)
        if not merging:
            through = min(through, self._unmerged())
        merge = None
        if self.open or self.closed:
            merge = self._seal(through, rule_failed, made)
        self.placed = max(self.placed, through)
        if through == self.next_event_id - 1:
            return self.entries.copy(), merge
        return self.entries[: bisect_right(self.entries, through, key=entry_id)], merge

    def read_all(self) -> list[Entry]:
        """`read` without a bound, of a queue in which nothing waits to be merged."""
        self.placed = max(self.placed, self.next_event_id - 1)
        return self.entries.copy()

    def _seal(self, through: int, rule_failed: RuleFailed, made: Made) -> Merge | None:
        """Merges and places what waits up to the id `through`; None when no events were merged."""
        merged = False
        joined: list[Joined] = []
        placed: list[Entry] = []
        for group in self.groups():
            entries = group.take(through)
            if len(entries) > 1:
                try:
                    found = join(group.kind, group.rule, entries)
                except Exception as error:  # noqa: BLE001 - whatever an application's rule does (rule 7)
                    rule_failed(group.kind, error)
                else:
                    merged = True
                    if group.kind not in MERGE_RULES:
                        joined.append(found)
                    self.size -= size_of(entries)
                    entries = found.entries()
                    self.size += size_of(entries)
                    for body in found.bodies:
                        made(body)
            placed += entries
        self._forget_empty_groups()
        self.place(placed)
        return Merge(self.placed, through, tuple(joined)) if merged else None

    def place(self, placed: list[Entry]) -> None:
        """Puts entries where their ids belong, which is mostly near the end."""
        if placed:
            start = bisect_right(self.entries, min(placed)[0], key=entry_id)
            self.entries[start:] = sorted([*self.entries[start:], *placed], key=entry_id)

    def replay_merge(self, merge: Merge, rule_failed: RuleFailed = ignored, made: Made = uncounted) -> None:
        """In recovery: what was placed singly is placed singly, and what was merged is merged."""
        for joined in merge.joined:
            self._redo_joined(joined, made)
        for group in self.groups():
            singly = merge.placed if group.kind in MERGE_RULES else merge.through
            self.place(group.take(singly))
        self._seal(merge.through, rule_failed, made)

    def _redo_joined(self, joined: Joined, made: Made) -> None:
        """Replaces the single events wherever they are; a queue that has done or pruned this already stays."""
        taken = self._take_out(set(joined.ids))
        if any(event_id == joined.ids[-1] for event_id, _, _ in taken):
            pruned = -1 if self.newest_pruned_id is None else self.newest_pruned_id
            taken = [entry for entry in joined.entries() if entry[0] > pruned]
            for _, body, _ in taken:
                made(body)
        self.size += size_of(taken)
        self.place(taken)

    def _take_out(self, ids: set[int]) -> list[Entry]:
        taken: list[Entry] = []
        for entries in (self.entries, *(group.contributors for group in self.groups())):
            taken += [entry for entry in entries if entry[0] in ids]
            entries[:] = [entry for entry in entries if entry[0] not in ids]
        self._forget_empty_groups()
        self.size -= size_of(taken)
        return taken

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
        return reached(self.entries, self.groups(), max_bytes)


def waiting(queue: EventQueue) -> list[list[Entry]]:
    """The events of each group that has several."""
    groups = (group.contributors for group in queue.groups())
    return [contributors.copy() for contributors in groups if len(contributors) > 1]


def merged(queue: EventQueue, before: list[list[Entry]]) -> list[tuple[Entry, int]]:
    """Of the groups that were there before: each event that was merged, with the id of what took its place.

    An event that took the place of others stands there too, since it is not what it was.
    """
    pruned = -1 if queue.newest_pruned_id is None else queue.newest_pruned_id
    left = {entry[0] for group in queue.groups() for entry in group.contributors}
    found: list[tuple[Entry, int]] = []
    for entries in before:
        into: Entry | None = None
        is_noted = False
        for entry in reversed(entries):
            if entry[0] in left or _holds(queue, entry[0]):
                into, is_noted = entry, False
            elif into is not None and entry[0] > pruned:
                if not is_noted:
                    found.append((into, into[0]))
                    is_noted = True
                found.append((entry, into[0]))
    return found[::-1]


def _holds(queue: EventQueue, event_id: int) -> bool:
    entries = queue.entries
    place = bisect_left(entries, event_id, key=entry_id)
    return place < len(entries) and entries[place][0] == event_id
