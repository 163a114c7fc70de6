"""What it costs to record what can be explained: delivering to 10,000 queues with and without their trails."""

from collections.abc import Mapping

import msgspec

from fan_out import EVENT, MESSAGE, READERS, SHAPES
from measure import Case, alternate, print_table
from shards import Kept, acknowledge_all, engine_with_queues
from tidewire.core.ids import UserId
from tidewire.core.notices.notice import decode_notice
from tidewire.core.state.limits import Limits
from tidewire.engine.engine import Engine

QUEUES = 10_000
WITHOUT = "without trails"
MODES: Mapping[str, int] = {WITHOUT: 0, "with trails, as it comes": 2048}


def main(*, rounds: int) -> None:
    """Measures and prints."""
    everyone = list(range(QUEUES))
    for title, event, users, polls in (
        (f"An event to {QUEUES:,} idle queues", EVENT, everyone, False),
        (f"A message to {QUEUES:,} idle queues of {len(SHAPES)} shapes", MESSAGE, READERS, False),
        (f"An event to {QUEUES:,} queues, each of which polls and acknowledges", EVENT, everyone, True),
    ):
        raw = msgspec.json.encode({"event": event, "users": users, "realm_id": 1})
        cases = {name: _case(raw, Limits(explain_bytes=size), polls=polls) for name, size in MODES.items()}
        print_table(title, alternate(cases, rounds=rounds), unit="us a recipient", base=WITHOUT)


def _case(raw: bytes, limits: Limits, *, polls: bool) -> Case:
    engine, queue_ids = engine_with_queues(QUEUES, SHAPES, limits=limits)

    def run() -> int:
        engine.publish([decode_notice(raw)], Kept())
        if polls:
            _poll_all(engine, queue_ids)
        return QUEUES

    def acknowledge() -> None:
        acknowledge_all(engine, queue_ids)

    # As in a server that has run for a while, the trails are full.
    for _ in range(120):
        run()
        acknowledge()
    return Case(run, acknowledge)


def _poll_all(engine: Engine, queue_ids: list[str]) -> None:
    slot = Kept()
    for user, queue_id in enumerate(queue_ids):
        for last in (_newest(engine, queue_id) - 1, _newest(engine, queue_id)):
            engine.poll(queue_id, user_id=UserId(user), last_event_id=last, block=False, waiter=slot)


def _newest(engine: Engine, queue_id: str) -> int:
    descriptor = engine.shard.find(queue_id)
    assert descriptor is not None
    return descriptor.queue.next_event_id - 1
