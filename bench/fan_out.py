"""One event to 10,000 queues: encoded once for each shape and shared, against copied and encoded for each queue."""

import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from measure import Case, alternate, print_table
from messages import WIDE_MESSAGE, readers
from shards import Kept, acknowledge_all, engine_with_queues
from tidewire.core.events.capabilities import Capabilities
from tidewire.core.notices.notice import decode_notice
from tidewire.engine.engine import Engine

QUEUES = 10_000
EVENT = {"type": "benchmark", "sender": {"id": 7, "email": "ada@demo.example"}, "text": "x" * 600}

SHAPES = (
    Capabilities(apply_markdown=True, client_gravatar=True, empty_topic_name=True),
    Capabilities(apply_markdown=True, client_gravatar=True),
    Capabilities(),
)
"""The web app of today, an older client, and a bot: queues take turns."""

MESSAGE = {"type": "message", "message_dict": WIDE_MESSAGE, "realm_id": 1, "stream_name": "ops"}
READERS = readers(QUEUES)


def main(*, rounds: int) -> None:
    """Measures and prints."""
    for title, event, users in (
        (f"Fan-out to {QUEUES:,} idle queues", EVENT, list(range(QUEUES))),
        (f"A message to {QUEUES:,} idle queues of {len(SHAPES)} shapes", MESSAGE, READERS),
    ):
        raw = msgspec.json.encode({"event": event, "users": users, "realm_id": 1})
        engine, queue_ids = engine_with_queues(QUEUES, SHAPES)
        queues: list[list[bytes]] = [[] for _ in range(QUEUES)]
        cases = {"shared bytes": _shared(engine, queue_ids, raw), "copy and encode": _copied(queues, raw)}
        timings = alternate(cases, rounds=rounds)
        print_table(title, timings, unit="us a recipient", base="shared bytes")
        _print_sizes(engine, queue_ids, queues, raw)


def _shared(engine: Engine, queue_ids: list[str], raw: bytes) -> Case:
    def run() -> int:
        engine.publish([decode_notice(raw)], Kept())
        return QUEUES

    def acknowledge() -> None:
        acknowledge_all(engine, queue_ids)

    return Case(run, acknowledge)


def _copied(queues: list[list[bytes]], raw: bytes) -> Case:
    """The plain way: every queue keeps its own encoded copy, as the event system this descends from does."""

    def run() -> int:
        notice = msgspec.json.decode(raw)
        for user in notice["users"]:
            queue = queues[user if isinstance(user, int) else user["id"]]
            queue.append(msgspec.json.encode(_copy(notice["event"], user) | {"id": len(queue)}))
        return QUEUES

    def acknowledge() -> None:
        for queue in queues:
            queue.clear()

    return Case(run, acknowledge)


def _copy(event: Mapping[str, Any], user: Any) -> dict[str, Any]:
    """The event of one user; of a message no more is made than any reader gets."""
    if event["type"] != "message":
        return dict(event)
    message = {name: value for name, value in event["message_dict"].items() if name != "rendered_content"}
    return {"type": "message", "message": message, "flags": user["flags"]}


def _print_sizes(engine: Engine, queue_ids: list[str], queues: list[list[bytes]], raw: bytes) -> None:
    """Bytes of one queued event in the heap, what is shared counted once: tuple, number, place in a list, bytes."""
    engine.publish([decode_notice(raw)], Kept())
    shared: dict[int, int] = {}
    own = 0
    for queue_id in queue_ids:
        descriptor = engine.shard.find(queue_id)
        assert descriptor is not None
        entry = descriptor.queue.entries[-1]
        own += sys.getsizeof(entry) + sys.getsizeof(1 << 20) + 8
        shared |= {id(part): sys.getsizeof(part) for part in entry[1:]}
    copied = sum(sys.getsizeof(event) + 8 for queue in _after(queues, raw) for event in queue)
    print(
        f"  bytes of one queued event: {(own + sum(shared.values())) / QUEUES:.0f}, and {copied / QUEUES:.0f} copied"
    )


def _after(queues: list[list[bytes]], raw: bytes) -> list[list[bytes]]:
    _copied(queues, raw).run()
    return queues
