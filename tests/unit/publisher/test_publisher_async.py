"""`AsyncPublisher`: what differs from `Publisher`, which shares everything but the waiting."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from support.fake_time import FakeTime
from support.http_stub import Reply, StubServer, failure, success, with_headers
from tidewire.publisher import AsyncPublisher, PublishFailed

NOTICE = {"event": {"type": "deploy"}, "users": [1]}


@pytest.fixture
async def publisher(stub: StubServer, fake_time: FakeTime) -> AsyncIterator[AsyncPublisher]:
    async with AsyncPublisher(stub.url, secret="s3cret", _timing=fake_time.async_timing) as made:
        yield made


async def test_an_event_goes_out_as_one_notice(stub: StubServer, publisher: AsyncPublisher) -> None:
    stub.script(success(accepted=1))
    await publisher.send_event(realm_id=1, event={"type": "deploy"}, users={7}, id="n-1")
    (asked,) = stub.asked
    assert asked.notices == [{"event": {"type": "deploy"}, "users": [7], "id": "n-1", "realm_id": 1}]
    assert asked.headers["Authorization"] == "Bearer s3cret"


async def test_a_batch_is_tried_again_with_the_same_ids(
    stub: StubServer, publisher: AsyncPublisher, fake_time: FakeTime
) -> None:
    busy = with_headers(failure(503, "SERVICE_UNAVAILABLE"), Retry_After="2")
    stub.script(busy, Reply(drop=True), Reply(b"<html>", 200), success(accepted=2))
    assert await publisher.send([NOTICE, NOTICE]) == 2
    first, *others = [asked.notices for asked in stub.asked]
    assert len({notice["id"] for notice in first}) == 2
    assert others == [first] * 3
    assert fake_time.sleeps[0] == 2.05


async def test_a_refusal_names_the_notice(stub: StubServer, publisher: AsyncPublisher) -> None:
    stub.script(failure(400, "INVALID_NOTICE", index=1))
    with pytest.raises(PublishFailed) as raised:
        await publisher.send([NOTICE, {"event": {}}])
    assert (raised.value.code, raised.value.index, raised.value.retry_helps) == ("INVALID_NOTICE", 1, False)


async def test_it_gives_up_in_the_end(stub: StubServer, publisher: AsyncPublisher) -> None:
    stub.stop()
    with pytest.raises(PublishFailed) as raised:
        await publisher.send([NOTICE | {"id": "mine"}])
    assert (raised.value.code, raised.value.notice_ids) == ("CONNECTION_FAILED", ("mine",))


async def test_tasks_don_t_wait_for_each_other(stub: StubServer, publisher: AsyncPublisher) -> None:
    stub.script(success(accepted=1), success(accepted=1))
    stub.hold_from(1)
    sending = [asyncio.create_task(publisher.send([NOTICE])) for _ in range(2)]
    assert await asyncio.to_thread(stub.wait_for, 2)
    stub.release()
    assert await asyncio.gather(*sending) == [1, 1]


async def test_an_empty_batch_asks_nothing_and_a_closed_publisher_nobody(
    stub: StubServer, publisher: AsyncPublisher
) -> None:
    assert await publisher.send([]) == 0
    await publisher.close()
    with pytest.raises(PublishFailed, match="closed"):
        await publisher.send([NOTICE])
    assert stub.asked == []


@pytest.mark.parametrize("secret", ["", "two words", "line\nend", "ü"])
def test_a_secret_that_no_header_can_hold_is_refused(stub: StubServer, secret: str) -> None:
    with pytest.raises(PublishFailed) as raised:
        AsyncPublisher(stub.url, secret=secret)
    assert raised.value.code == "BAD_SECRET"
