"""Looking into a shard: what must hold between its parts, and its durable state in a comparable form."""

import json
from sys import getsizeof
from typing import Any

from tidewire.core.dump import read_pair, write_pair
from tidewire.core.events.encoding import Entry, entry_size
from tidewire.core.interning import Interner
from tidewire.core.memory import BODY
from tidewire.core.notices.deduplication import REMEMBERED
from tidewire.core.persistence.snapshot import decode_snapshot, encode_snapshot
from tidewire.core.queues.descriptor import Descriptor
from tidewire.core.queues.ended import TOMBSTONE, Tombstone
from tidewire.core.queues.event_queue import EventQueue
from tidewire.core.queues.registration_size import size_of
from tidewire.core.records import QueuePolled, Record
from tidewire.core.shard import Shard
from tidewire.core.state.limits import Limits
from tidewire.core.state.state import State


def check_indexes(state: State[Any]) -> None:
    """Every index agrees with the queues that there are."""
    directory = state.directory
    by_user = {
        user_id: {queue.queue_id: queue for queue in directory.of_user(user_id)}
        for user_id in directory.by_user._queues
    }
    assert {queue_id for owned in by_user.values() for queue_id in owned} == set(directory._by_id)
    assert all(by_user.values())
    for user_id, owned in by_user.items():
        for queue_id, descriptor in owned.items():
            assert directory._by_id[queue_id] is descriptor
            assert (descriptor.spec.user_id, descriptor.queue_id) == (user_id, queue_id)
    live = list(directory)
    _check_deadlines(state, live)
    assert set(state.seen) <= set(live)
    assert {descriptor for descriptor in state.ready if descriptor.waiter is not None} <= set(live)
    assert len(set(state.ready)) == len(state.ready)
    assert all(descriptor.ready for descriptor in state.ready)
    assert set(state.reload_set) <= {descriptor.queue_id for descriptor in live}
    for interner in (state._shapes, state._acceptances, state._kept):
        assert _holders(interner) == len(live)
    assert set(state.over) <= set(live)
    assert not {tombstone[0] for tombstone in _tombstones(state)} & {
        descriptor.queue_id for descriptor in live
    }
    assert not state.revoked.keys() & by_user.keys()
    for descriptor in live:
        check_queue(descriptor.queue)
    _check_memory(state, live)


def _tombstones(state: State[Any]) -> list[Tombstone]:
    return [tombstone for piece in state.tombstones.pieces() for tombstone in piece]


def _check_memory(state: State[Any], live: list[Descriptor[Any]]) -> None:
    """What is counted is there, and all bodies that something refers to."""
    memory = state.memory
    assert memory.entries == sum(len(descriptor.queue) for descriptor in live)
    memory.sweep_all()
    assert memory.registrations == sum(map(size_of, {descriptor.spec.kept for descriptor in live}))
    assert state.tombstones.size == sum(TOMBSTONE + getsizeof(one[0]) for one in _tombstones(state))
    assert state.remembered.size == sum(REMEMBERED + getsizeof(one[0]) for one in state.remembered)
    assert (memory.transit.bodies, memory.transit.unread) == (0, 0)
    bodies = [*memory._young, *(body for piece in memory._old for body in piece)]
    assert memory.bodies == sum(len(body) + BODY for body in bodies)
    assert len({id(body) for body in bodies}) == len(bodies)
    # What reads have merged is not counted; neither is what they have placed singly in between.
    counted = {id(body) for body in bodies}
    for descriptor in live:
        waiting = [entry for group in descriptor.queue.groups() for entry in group.contributors]
        assert {id(body) for _, body, _ in waiting} <= counted


def _check_deadlines(state: State[Any], live: list[Descriptor[Any]]) -> None:
    idle = [item for bucket in state.idle._buckets.values() for item in bucket]
    assert len(idle) == len(live)
    assert set(idle) == set(live)
    for descriptor in live:
        assert descriptor in state.idle._buckets[descriptor.idle_second]
    beats = [item for bucket in state.heartbeats._buckets.values() for item in bucket]
    assert len(set(beats)) == len(beats)
    assert set(beats) <= set(live)
    assert {descriptor for descriptor in live if descriptor.waiter is not None} <= set(beats)


def _holders(interner: Interner[Any]) -> int:
    counts = [count for _, count in interner._entries.values()]
    assert all(counts)
    return sum(counts)


def check_queue(queue: EventQueue) -> None:
    """A queue's parts agree: sizes, order, and no id twice."""
    waiting = [entry for group in queue.groups() for entry in group.contributors]
    assert queue.size == sum(map(entry_size, [*queue.entries, *waiting]))
    assert all(group.contributors for group in queue.groups())
    ids = [entry[0] for entry in [*queue.entries, *waiting]]
    assert len(set(ids)) == len(ids) == len(queue)
    assert [entry[0] for entry in queue.entries] == sorted(entry[0] for entry in queue.entries)
    assert all(event_id < queue.next_event_id for event_id in ids)
    assert queue.missed is None or (queue.missed and queue.missed.keys() <= set(ids))
    if queue.newest_pruned_id is not None:
        assert all(event_id > queue.newest_pruned_id for event_id in ids)


def recovered(snapshot: bytes | None, records: list[Record], *, limits: Limits) -> Shard[Any]:
    """A shard made from a snapshot and the records since, not begun."""
    shard: Shard[Any] = Shard(limits=limits)
    if snapshot is not None:
        shard.restore(decode_snapshot(snapshot))
    for record in records:
        shard.apply(record)
    return shard


def seen_so_far(shard: Shard[Any]) -> tuple[QueuePolled, ...]:
    """What the next tick's record would say of polls."""
    return tuple(
        QueuePolled(descriptor.queue_id, descriptor.queue.newest_pruned_id, descriptor.last_active)
        for descriptor in shard._state.seen
    )


def durable_form(state: State[Any]) -> dict[str, Any]:
    """The durable state. An event that waits alone and one that was placed are the same thing (`core/queues/event_queue.py`)."""
    return {
        "queues": {
            descriptor.queue_id: (
                descriptor.spec,
                descriptor.offline,
                descriptor.queue.next_event_id,
                descriptor.queue.newest_pruned_id,
                _all_entries(descriptor.queue),
                descriptor.queue.missed,
            )
            for descriptor in state.directory
        },
        "outbox": (state.outbox.next_number, state.outbox.pieces()),
        "tombstones": _tombstones(state),
        "revoked": set(state.revoked),
        "remembered": [(notice_id, digest) for notice_id, digest, _ in state.remembered],
    }


def _all_entries(queue: EventQueue) -> list[Entry]:
    return sorted([*queue.entries, *(entry for group in queue.groups() for entry in group.contributors)])


def check_dump(shard: Shard[Any]) -> None:
    """Every queue survives being written to a dump and read (R2.31)."""
    for descriptor in shard._state.directory:
        written = write_pair(descriptor)
        again = read_pair(written, {})
        check_queue(again.queue)
        assert json.loads(write_pair(again)) == json.loads(written)
        assert (again.spec, again.queue.missed) == (descriptor.spec, descriptor.queue.missed)


def check_snapshot(shard: Shard[Any], *, now: float, limits: Limits) -> None:
    """A snapshot survives being encoded and restored."""
    image = shard.snapshot(now=now)
    data = encode_snapshot(image)
    assert decode_snapshot(data) == image
    again: Shard[Any] = Shard(limits=limits)
    again.restore(image)
    assert again.snapshot(now=now) == image
    check_indexes(again._state)
