"""Pending virtual events of a dump: the merged form of what waits in an open group (R1.5, R1.17)."""

from collections.abc import Iterable
from operator import itemgetter

from tidewire.core.events.coalescing import MERGE_RULES, Event
from tidewire.core.events.encoding import Entry
from tidewire.core.queues.event_queue import EventQueue
from tidewire.core.queues.merge_group import Group

VIRTUAL = "update_message_flags"
"""The type of every virtual event; the keys of its groups are those of R1.5."""


def wait_again(
    queue: EventQueue, real: Iterable[tuple[int, Event]], pending: Iterable[tuple[Entry, Event]]
) -> None:
    """Puts pending events into a queue that has the other changes of flags, `real`, already.

    They wait in open groups again. But a change in the opposite direction that came after one has closed its
    group by our rules, if not by those of the server that wrote the dump, and nothing later may merge across it
    (R1.15). What is closed is one event already, and is placed.
    """
    rule = MERGE_RULES[VIRTUAL]
    walk: list[tuple[int, Event, Entry | None]] = [(event_id, event, None) for event_id, event in real]
    walk += [(entry[0], event, entry) for entry, event in pending]
    waiting: dict[str, Entry] = {}
    placed: list[Entry] = []
    for _, event, entry in sorted(walk, key=itemgetter(0)):
        if event["type"] == VIRTUAL:
            placed += [waiting.pop(key) for key in rule.closes(event, tuple(waiting))]
        if entry is None:
            continue
        key = rule.key(event) if event["type"] == VIRTUAL else None
        if key is None or key in waiting:
            placed.append(entry)
        else:
            waiting[key] = entry
    queue.place(placed)
    if waiting:
        queue.open[VIRTUAL] = {key: Group(VIRTUAL, rule, [entry]) for key, entry in waiting.items()}
