"""Over random lives of a shard: what is exported and imported elsewhere answers like the original (C5, R2.31)."""

import json
from collections import Counter as Counted
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from support.core_rig import KeepingSlot, Rig, spec
from support.core_states import check_indexes
from support.dumps import dump, exported, imported, pair, read_all, stored_queue
from support.events import Json, flags
from support.whole_messages import message_event, recipients
from tidewire.core.dump import Unreadable, read_pair, split_dump, write_pair
from tidewire.core.errors import BadRequest
from tidewire.core.events.coalescing import Counter
from tidewire.core.events.encoding import list_pieces
from tidewire.core.notices.request_body import decode_notices
from tidewire.core.notifications.worker_records import queue_names, wire_record

RULES = {"count": Counter(number_field="by")}
LISTS = st.lists(st.integers(1, 4), min_size=1, max_size=2)
EVENTS = st.one_of(
    st.builds(flags, st.sampled_from(["add", "remove"]), st.sampled_from(["read", "starred"]), LISTS),
    st.just({"type": "deploy"}),
    st.builds(lambda by: {"type": "count", "by": by}, st.integers(1, 3)),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), EVENTS),
        st.tuples(st.just("send"), st.integers(1, 9)),
        st.tuples(st.just("poll"), st.integers(0, 2)),
        st.tuples(st.just("acknowledge"), st.integers(0, 2)),
        st.tuples(st.just("wait"), st.sampled_from([1, 61, 700])),
        st.tuples(st.just("crash"), st.none()),
    ),
    max_size=12,
)
QUEUES = ("queue-1", "queue-2", "queue-3")

IDLE = 10_000
"""Seconds: longer than twelve of the longest waits, so that no queue expires."""


def send(rig: Rig, number: int) -> None:
    """A direct message that its reader wants to be told of."""
    event = message_event(number, direct=True)
    body = msgspec.json.encode({"event": event, "users": recipients([1])})
    rig.engine.publish(decode_notices(body), KeepingSlot[int]())


def pruned(rig: Rig, queue_id: str) -> int:
    found = rig.engine.shard.find(queue_id)
    assert found is not None
    return -1 if found.queue.newest_pruned_id is None else found.queue.newest_pruned_id


def lived(steps: list[tuple[str, Any]]) -> Rig:
    """A shard with three queues that has seen something."""
    rig = Rig(rules=RULES)
    for types in (None, ["update_message_flags", "message"], ["deploy", "count"]):
        rig.register(spec(types=types, idle=IDLE))
    for step, what in steps:
        match step:
            case "publish":
                rig.publish(what)
            case "send":
                send(rig, what)
            case "wait":
                rig.wait(what)
            case "crash":
                rig.recover()
            case _:
                answer = rig.poll(QUEUES[what], pruned(rig, QUEUES[what]))
                if step == "acknowledge" and answer.ids:
                    rig.poll(QUEUES[what], answer.ids[len(answer.ids) // 2])
    return rig


def same_answers(rig: Rig, other: Rig) -> None:
    """Every client gets the same from both."""
    for queue_id in QUEUES:
        last = pruned(rig, queue_id)
        assert rig.poll(queue_id, last).events == other.poll(queue_id, last).events


def told(rig: Rig) -> Counted[str]:
    """The notification records so far."""
    pages = [rig.engine.shard.outbox_page(name, after=0, limit=1000) for name in queue_names(1)]
    return Counted(json.dumps(wire_record(record)) for page in pages for _, record in page.records)


def elsewhere(rig: Rig) -> Rig:
    """A server at the same time that has the queues of another."""
    other = Rig(rules=RULES)
    other.clock.time = rig.clock.time
    assert imported(other, read_all(exported(rig))) == (3, [])
    check_indexes(other.engine.shard._state)
    return other


@given(STEPS)
def test_what_is_written_and_read_is_written_the_same_again_r2_31(steps: list[tuple[str, Any]]) -> None:
    first = exported(lived(steps))
    again = b"".join(list_pieces(map(write_pair, read_all(first)), 100))
    assert msgspec.json.decode(again) == msgspec.json.decode(first)


@given(STEPS, st.lists(EVENTS, max_size=3))
def test_an_imported_queue_answers_like_the_original_c5(
    steps: list[tuple[str, Any]], later: list[Json]
) -> None:
    rig = lived(steps)
    other = elsewhere(rig)
    same_answers(rig, other)
    for event in later:
        rig.publish(event)
        other.publish(event)
    same_answers(rig, other)


@given(STEPS, st.lists(EVENTS.filter(lambda event: event["type"] != "count"), max_size=3))
def test_what_waited_goes_on_merging_in_an_imported_queue_c5(
    steps: list[tuple[str, Any]], later: list[Json]
) -> None:
    rig = lived(steps)
    other = elsewhere(rig)
    for event in later:
        rig.publish(event)
        other.publish(event)
    same_answers(rig, other)


@given(STEPS)
def test_an_imported_queue_survives_a_crash_c5(steps: list[tuple[str, Any]]) -> None:
    rig = lived(steps)
    other = elsewhere(rig)
    other.recover()
    same_answers(rig, other)
    for queue_id in QUEUES:
        found, again = rig.engine.shard.find(queue_id), other.engine.shard.find(queue_id)
        assert found is not None
        assert again is not None
        assert (found.spec, found.offline, found.queue.missed) == (
            again.spec,
            again.offline,
            again.queue.missed,
        )


@given(STEPS)
def test_whoever_goes_later_is_notified_of_the_same_messages_r10_10(steps: list[tuple[str, Any]]) -> None:
    rig = lived(steps)
    before = told(rig)
    other = elsewhere(rig)
    for queue_id in QUEUES:
        rig.delete(queue_id)
        other.delete(queue_id)
    assert told(other) == told(rig) - before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def damaged_pairs(draw: st.DrawFn) -> Any:
    """A pair of a dump in which one value is another."""
    event = {**flags("add", "read", [1]), "id": 1, "internal_data": {}}
    message = {"type": "message", "message": {"id": 1, "sender_id": 2}, "internal_data": {}, "flags": []}
    whole = json.loads(dump(pair("q", stored_queue(message, virtual={"flags/add/read": event}))))
    at, key = whole, 0
    while True:
        keys: list[Any] = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = draw(st.sampled_from(keys))
        if not isinstance(at[key], dict | list) or not at[key] or draw(st.booleans()):
            at[key] = draw(JSON)
            return whole
        at = at[key]


@given(damaged_pairs())
def test_whatever_is_in_a_dump_it_is_refused_or_becomes_a_queue_that_works(data: Any) -> None:
    rig = Rig()
    try:
        pairs = split_dump(json.dumps(data).encode())
    except BadRequest:
        return
    for one in pairs:
        try:
            queue = read_pair(one, {})
        except Unreadable:
            continue
        imported(rig, [queue])
        rig.recover()
        check_indexes(rig.engine.shard._state)
        pending = rig.engine.shard.find(queue.queue_id)
        assert pending is not None
        rig.publish({"type": "deploy"}, users=[queue.spec.user_id])
        assert read_pair(write_pair(pending), {}).spec == queue.spec
        rig.poll(queue.queue_id, queue.queue.newest_pruned_id or 0, user=queue.spec.user_id)
