"""One event to 10,000 queues: encoded once and shared, against copied and encoded for each of them."""

import sys

import msgspec

from measure import Case, alternate, print_table
from shards import Kept, engine_with_queues
from tidewire.core.notice import decode_notice
from tidewire.core.wire import encode_body

QUEUES = 10_000
EVENT = {"type": "benchmark", "sender": {"id": 7, "email": "ada@demo.example"}, "text": "x" * 600}


def main(*, rounds: int) -> None:
    """Measures and prints."""
    cases = {"shared bytes": _shared(), "copy and encode": _copied()}
    timings = alternate(cases, rounds=rounds)
    print_table(f"Fan-out to {QUEUES:,} idle queues", timings, unit="us a recipient", base="shared bytes")
    entry = (1_000_000, encode_body(EVENT), b"")
    own = sys.getsizeof(entry) + sys.getsizeof(entry[0]) + 8
    print(f"  memory of one queued event beyond the shared body: {own} bytes")


def _shared() -> Case:
    engine, queue_ids = engine_with_queues(QUEUES)
    raw = msgspec.json.encode({"event": EVENT, "users": list(range(QUEUES))})

    def run() -> int:
        engine.publish([decode_notice(raw)], Kept())
        return QUEUES

    def acknowledge() -> None:
        for queue_id in queue_ids:
            descriptor = engine.shard.find(queue_id)
            assert descriptor is not None
            descriptor.queue.prune(descriptor.queue.next_event_id - 1)

    return Case(run, acknowledge)


def _copied() -> Case:
    """The plain way: every queue keeps its own encoded copy, as the event system this descends from does."""
    queues: list[list[bytes]] = [[] for _ in range(QUEUES)]
    raw = msgspec.json.encode({"event": EVENT, "users": list(range(QUEUES))})

    def run() -> int:
        notice = msgspec.json.decode(raw)
        for user in notice["users"]:
            event = dict(notice["event"])
            event["id"] = len(queues[user])
            queues[user].append(msgspec.json.encode(event))
        return QUEUES

    def acknowledge() -> None:
        for queue in queues:
            queue.clear()

    return Case(run, acknowledge)
