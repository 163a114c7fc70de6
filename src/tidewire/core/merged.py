"""Which events of a queue others took the place of, worked out by looking before and after (D3).

Neither reading a queue nor doing a merge again says so, and only explaining wants to know.
"""

from bisect import bisect_left

from tidewire.core.groups import entry_id
from tidewire.core.queue import EventQueue


def waiting_ids(queue: EventQueue) -> list[list[int]]:
    """The ids of each group that has several events."""
    groups = (group.contributors for group in queue.groups())
    return [[entry[0] for entry in contributors] for contributors in groups if len(contributors) > 1]


def merged_ids(queue: EventQueue, before: list[list[int]]) -> list[tuple[int, int]]:
    """Of the groups that were there before: each event that is gone, with the one that took its place."""
    pruned = -1 if queue.newest_pruned_id is None else queue.newest_pruned_id
    waiting = {entry[0] for group in queue.groups() for entry in group.contributors}
    merged: list[tuple[int, int]] = []
    for ids in before:
        into: int | None = None
        for event_id in reversed(ids):
            if event_id in waiting or holds(queue, event_id):
                into = event_id
            elif into is not None and event_id > pruned:
                merged.append((event_id, into))
    return merged


def holds(queue: EventQueue, event_id: int) -> bool:
    """Whether the queue has placed an event under this id, and still has it."""
    entries = queue.entries
    place = bisect_left(entries, event_id, key=entry_id)
    return place < len(entries) and entries[place][0] == event_id
