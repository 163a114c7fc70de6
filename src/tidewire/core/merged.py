"""Which events of a queue others took the place of, worked out by looking before and after (D3).

Neither reading a queue nor doing a merge again says so, and only explaining wants to know.
"""

from bisect import bisect_left

from tidewire.core.groups import entry_id
from tidewire.core.queue import EventQueue
from tidewire.core.wire import Entry


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
