"""Whatever a message of the bus holds, it costs itself alone: the consumer by itself, with deliveries drawn at random."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.bus_rig import Rig, turn
from tidewire._amqp.broker import Delivery
from tidewire._amqp.names import FENCE, PARTS
from tidewire._amqp.properties import LEFT_OUT, LONGEST_SHORT, fitting, short
from tidewire.bus.dead_letters import LONGEST_REASON, cut
from tidewire.bus.decoding import MOST_TRIES
from tidewire.core.errors import BadRequest, InternalError
from tidewire.core.notices.notice import Notice

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.binary(max_size=20) | st.decimals(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXT | st.binary(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
HEADERS = st.dictionaries(
    st.sampled_from([PARTS, "x-tidewire-code", "x-death"]) | TEXT | st.binary(max_size=4),
    ANYTHING,
    max_size=4,
)
KINDS = ("a", "bad", "fault", "late")
NOTICES = st.builds(
    lambda kind, users, more: json.dumps({"event": {"type": kind}, "users": users, **more}).encode(),
    st.sampled_from(KINDS),
    st.just([1]) | st.lists(st.integers(), max_size=2),
    st.dictionaries(
        st.sampled_from(["id", "failed_tries", "realm_id"]) | TEXT.map(lambda text: text * 50),
        st.sampled_from([-(10**9), 2, 10**60, None, True, "x", "x" * 200]),
        max_size=2,
    ),
)
BODIES = (
    NOTICES
    | st.binary(max_size=40)
    | st.sampled_from(
        [
            b"",
            b"{",
            b"null",
            b"[" * 50_000,
            b'{"a":' * 50_000,
            b'{"id":null}',
            b'{"failed_tries":1}',
            b"\xff\xfe",
        ]
    )
)
DELIVERIES = st.builds(
    lambda redelivered, message_id, body, kind, headers, reply_to: (
        redelivered,
        message_id,
        body,
        kind,
        headers,
        reply_to,
    ),
    st.booleans(),
    st.none() | TEXT | st.binary(max_size=200) | st.just(b"\xff" * 200) | st.just("\U0001f600" * 60),
    BODIES,
    st.none() | st.just(FENCE) | TEXT,
    HEADERS,
    st.none() | TEXT,
)


class WildSharing:
    """Other shards: fails in all the ways that there are, by the notice's type."""

    def is_all_for_here(self, notices: Sequence[Notice]) -> bool:
        """Nothing is for here alone."""
        if any(notice.kind == "late" for notice in notices):
            raise LookupError
        return False

    async def carry_out(self, notices: Sequence[Notice]) -> None:
        """Fails, or does nothing."""
        for index, notice in enumerate(notices):
            if notice.kind == "bad":
                raise BadRequest("bad", index=index if len(notices) % 2 else 10**6)
            if notice.kind == "fault":
                raise InternalError
            if notice.kind == "late":
                raise ZeroDivisionError


@settings(max_examples=200)
@given(deliveries=st.lists(DELIVERIES, min_size=1, max_size=12), shared=st.booleans(), fail=st.booleans())
def test_every_delivery_ends_in_an_acknowledgement(
    deliveries: list[tuple[Any, ...]], shared: bool, fail: bool
) -> None:
    asyncio.run(deliver(deliveries, shared=shared, fail=fail))


async def deliver(deliveries: list[tuple[Any, ...]], *, shared: bool, fail: bool) -> None:
    rig = Rig(multi_shard=WildSharing() if shared else None)
    channel = await rig.connect()
    good = json.dumps({"event": {"type": "a"}, "users": [1]}).encode()
    for tag, (redelivered, message_id, body, kind, headers, reply_to) in enumerate(deliveries, 1):
        channel.take(Delivery(tag, redelivered, message_id, body, kind, headers, reply_to))
    last = len(deliveries) + 1
    channel.take(Delivery(last, False, "good", good))
    for _ in range(100):
        await turn()
        rig.engine.make_durable()
        (rig.sent.refuse if fail else rig.sent.confirm)()
        if channel.acknowledged and channel.acknowledged[-1] == last:
            break
    assert channel.acknowledged[-1] == last
    if not shared:
        assert rig.engine.taken[-1] == "good"
    assert rig.consumer.backlog() == (0, 0.0)
    check_sent(rig)


def check_sent(rig: Rig) -> None:
    """What went out has bounds."""
    for queue, name, body in rig.sent.put_into:
        assert len(name) <= 128
        if queue == "q":
            assert 1 <= body["failed_tries"] < MOST_TRIES
    for headers in rig.sent.headers:
        if "x-tidewire-reason" in headers:
            assert len(headers["x-tidewire-reason"].encode()) <= LONGEST_REASON + 4


@pytest.mark.parametrize("sharing", [False, True])
async def test_a_delivery_that_fails_in_an_unforeseen_way_is_buried_alone(
    monkeypatch: pytest.MonkeyPatch, sharing: bool
) -> None:
    rig = Rig(multi_shard=WildSharing() if sharing else None)
    channel = await rig.connect()

    def broken(delivery: Delivery, _nameless: Any) -> Any:
        raise AttributeError(delivery.tag)

    monkeypatch.setattr("tidewire.bus.consumer.read", broken)
    rig.deliver("a", "a", "a")
    await turn()
    assert [queue for queue, *_ in rig.sent.put_into] == ["q_dead_letters"] * 3
    assert {headers["x-tidewire-code"] for headers in rig.sent.headers} == {"INTERNAL_ERROR"}
    rig.sent.confirm()
    assert channel.acknowledged[-1] == 3


async def test_a_dead_letter_that_the_broker_will_not_have_is_told_of_and_holds_nobody_up() -> None:
    rig = Rig()
    channel = await rig.connect()
    rig.deliver("bad", "a")
    await turn()
    rig.engine.make_durable()
    assert channel.acknowledged == []
    rig.sent.refuse()
    assert channel.acknowledged == [2]
    assert ("error", "dead letter is lost") in rig.logged


async def test_one_that_can_not_be_sent_back_becomes_a_dead_letter() -> None:
    rig = Rig()
    await rig.connect()
    rig.deliver("fault")
    await turn()
    rig.sent.refuse()
    assert [queue for queue, *_ in rig.sent.put_into] == ["q", "q_dead_letters"]


# What leaves.


@given(reason=st.text(), times=st.integers(1, 400))
def test_reasons_are_bounded_in_bytes(reason: str, times: int) -> None:
    shortened = cut(reason * times)
    assert len(shortened.encode()) <= LONGEST_REASON + 4


@given(value=st.text() | st.binary(), times=st.integers(1, 300))
def test_short_strings_always_fit(value: str | bytes, times: int) -> None:
    shortened = short(value * times)
    encoded = shortened.encode() if isinstance(shortened, str) else shortened
    assert len(encoded) <= LONGEST_SHORT
    assert shortened == short(value * times)


@settings(max_examples=300)
@given(
    headers=st.dictionaries(
        TEXT | st.binary(max_size=300), ANYTHING | TEXT.map(lambda one: one * 500), max_size=8
    )
)
def test_headers_always_fit_into_a_frame_and_the_first_stay(headers: dict[Any, Any]) -> None:
    kept = fitting({"x-tidewire-reason": "r" * LONGEST_REASON, **headers}, 4096)
    assert kept["x-tidewire-reason"] == "r" * LONGEST_REASON
    assert next(iter(kept)) == "x-tidewire-reason"
    gone = len(headers) + 1 - len([key for key in kept if key != LEFT_OUT])
    assert kept.get(LEFT_OUT, 0) in {gone, headers.get(LEFT_OUT)}
