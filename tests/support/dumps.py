"""Dumps as another server writes them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from support.core_rig import KeepingSlot, Rig
from support.events import Json
from tidewire.core.dump import DumpedQueue, read_pair, split_dump, write_pair
from tidewire.core.events.encoding import list_pieces
from tidewire.engine.transfer import Imports

QUEUE_ID = "0b9a6c52-7a55-4c0e-9d1f-2f7f3f0e6a11"


def stored_queue(
    *events: Json, virtual: Mapping[str, Json] | None = None, queue_id: str = QUEUE_ID, **members: Any
) -> Json:
    """An `event_queue`; ids that events don't give are their places."""
    queue = [{"id": place, **event} for place, event in enumerate(events)]
    ids = [event["id"] for event in [*queue, *(virtual or {}).values()]]
    return {
        "id": queue_id,
        "next_event_id": max(ids, default=-1) + 1,
        "newest_pruned_id": -1,
        "queue": queue,
        "virtual_events": virtual or {},
        **members,
    }


def descriptor(event_queue: Json | None = None, **members: Any) -> Json:
    """A descriptor of R2.29."""
    return {
        "user_profile_id": 1,
        "realm_id": 1,
        "event_types": None,
        "last_connection_time": 1_000_000.0,
        "apply_markdown": True,
        "all_public_streams": False,
        "queue_timeout": 600,
        "client_type_name": "website",
        "event_queue": stored_queue() if event_queue is None else event_queue,
        **members,
    }


def pair(queue_id: str = QUEUE_ID, event_queue: Json | None = None, **members: Any) -> tuple[str, Json]:
    """A pair of a dump; the `event_queue` gets the queue's id."""
    stored = stored_queue() if event_queue is None else event_queue
    return queue_id, descriptor({**stored, "id": queue_id}, **members)


def dump(*pairs: tuple[str, Json]) -> bytes:
    """The bytes of a dump."""
    return json.dumps(pairs).encode()


def read(queue_id: str, of: Json) -> DumpedQueue:
    """The queue of a pair."""
    return read_pair(json.dumps([queue_id, of]).encode(), {})


def read_all(data: bytes) -> list[DumpedQueue]:
    """The queues of a dump."""
    shared: dict[bytes, bytes] = {}
    return [read_pair(one, shared) for one in split_dump(data)]


def written(queue: DumpedQueue) -> Json:
    """The descriptor that a queue is written as."""
    queue_id, of = json.loads(write_pair(queue))
    assert queue_id == queue.queue_id
    assert isinstance(of, dict)
    return of


def exported(rig: Rig) -> bytes:
    """The dump of all queues of a rig."""
    return b"".join(list_pieces(rig.engine.dumps.write(), 100))


def imported(rig: Rig, queues: Sequence[DumpedQueue], restart: Json | None = None) -> Imports:
    """Imports into a rig."""
    slot: KeepingSlot[Imports] = KeepingSlot()
    rig.engine.dumps.take(queues, slot, restart=restart)
    return slot.answer
