"""What a merge rule costs when events are pushed: to queues with none, and with one or a thousand open groups."""

from collections.abc import Mapping

from measure import Case, alternate, print_table
from tidewire.core.events.coalescing import LatestByKey, MergeRule, merge_table
from tidewire.core.events.shaped_event import Representation
from tidewire.core.queues.event_queue import EventQueue

QUEUES = 200
EVENTS = 1_000


def main(*, rounds: int) -> None:
    """Measures and prints."""
    rules = {"x": LatestByKey(key_fields=("of",))}
    cases = {
        "no rule": _case({}, 1),
        "a rule, 1 open group": _case(rules, 1),
        "a rule, 1,000 open groups": _case(rules, EVENTS),
    }
    title = f"Push {EVENTS:,} events to {QUEUES:,} queues"
    print_table(title, alternate(cases, rounds=rounds), unit="us an event and queue", base="no rule")


def _case(own: Mapping[str, MergeRule], groups: int) -> Case:
    rules = merge_table(own)
    queues = [EventQueue() for _ in range(QUEUES)]
    events = [{"type": "x", "of": number % groups, "text": "x" * 600} for number in range(EVENTS)]

    def push() -> int:
        for event in events:
            shaped = Representation(event, rules)
            for queue in queues:
                queue.push(shaped)
        return EVENTS * QUEUES

    def acknowledge() -> None:
        for queue in queues:
            queue.prune(queue.next_event_id - 1)

    return Case(push, acknowledge)
