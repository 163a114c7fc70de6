"""The server of the testing kit: its time, its faults, its clients."""

from collections.abc import Callable

import pytest

from tidewire.publisher import PublishFailed
from tidewire.state import keyed
from tidewire.testing.builders import Account, a_notice
from tidewire.testing.server import TidewireServer

pytestmark = pytest.mark.slow


def numbers(events: list[dict[str, int]]) -> list[int]:
    return [event["number"] for event in events]


def test_a_client_gets_what_is_published(tidewire_server: TidewireServer) -> None:
    ada = tidewire_server.follow("ada", event_types=["step"])
    bob = tidewire_server.follow("bob")
    tidewire_server.publish(a_notice("step", [tidewire_server.accounts["ada"]], number=1))
    tidewire_server.publish(a_notice("other", [1, 2]), a_notice("step", [1], number=2))
    assert numbers(ada.wait_for(2)) == [1, 2]
    assert [event["type"] for event in bob.wait_for(1)] == ["other"]
    assert (ada.gaps, ada.failures) == ([], [])


def test_time_stands_still_until_it_is_moved(tidewire_server: TidewireServer) -> None:
    """A queue that nobody reads is gone after its idle time, and one that is read is not."""
    ada = tidewire_server.follow("ada")
    with tidewire_server.client("bob") as bob:
        left_alone = bob.register()
        tidewire_server.wait_for_polls(1)
        before = tidewire_server.now
        tidewire_server.advance(700)
        assert tidewire_server.now == before + 700
        assert left_alone.queue_id not in tidewire_server.queue_ids()
    tidewire_server.publish(a_notice("step", [1], number=1))
    assert numbers(ada.wait_for(1)) == [1]
    assert ada.gaps == []


def test_a_gap_is_told(tidewire_server: TidewireServer) -> None:
    ada = tidewire_server.follow("ada")
    (queue_id,) = tidewire_server.queue_ids()
    with tidewire_server.client("ada") as other:
        other.deregister(queue_id)
    ada.wait_until(lambda: bool(ada.gaps))
    assert ada.gaps[0].old_queue_id == queue_id


def test_lost_answers_cost_nothing(tidewire_server: TidewireServer) -> None:
    ada = tidewire_server.follow("ada")
    for number in range(5):
        tidewire_server.wait_for_polls(1)
        tidewire_server.faults.lose_answers(2)  # the poll's and the publisher's
        tidewire_server.publish(a_notice("step", [1], number=number))
    assert numbers(ada.wait_for(5)) == list(range(5))
    assert not tidewire_server.faults.takes_next()


def test_a_killed_server_comes_back_with_everything(tidewire_server: TidewireServer) -> None:
    ada = tidewire_server.follow("ada", event_types=["step"])
    tidewire_server.publish(a_notice("step", [1], number=0))
    ada.wait_for(1)
    (queue_id,) = tidewire_server.queue_ids()
    tidewire_server.kill()
    ada.wait_until(lambda: bool(ada.failures))
    tidewire_server.start()
    tidewire_server.publish(a_notice("step", [1], number=1))
    tidewire_server.restart()
    tidewire_server.publish(a_notice("step", [1], number=2))
    assert numbers(ada.wait_for(3)) == [0, 1, 2]
    assert tidewire_server.queue_ids() == [queue_id]
    assert ada.gaps == []


def test_nothing_is_taken_while_the_broker_is_down(tidewire_server: TidewireServer) -> None:
    ada = tidewire_server.follow("ada")
    tidewire_server.faults.broker_down = True
    with pytest.raises(PublishFailed) as raised:
        tidewire_server.publish(a_notice("step", [1], number=1))
    assert raised.value.retry_helps
    tidewire_server.faults.broker_down = False
    tidewire_server.publish(a_notice("step", [1], number=2))
    assert numbers(ada.wait_for(1)) == [2]


def test_a_slow_client_holds_nobody_up_and_gets_everything_in_the_end(
    tidewire_server: TidewireServer,
) -> None:
    ada = tidewire_server.follow("ada")
    tidewire_server.wait_for_polls(1)
    with tidewire_server.publisher() as publisher:
        publisher.send([a_notice("step", [1], number=0)])
        ada.wait_for(1)
        tidewire_server.wait_for_polls(1)
        tidewire_server.faults.slow_clients = True
        assert tidewire_server.faults.slow_clients
        with pytest.raises(PublishFailed):
            publisher.send([a_notice("step", [1], number=1)])  # its own answer is held, too
    assert len(ada.events) == 1
    tidewire_server.faults.slow_clients = False
    assert numbers(ada.wait_for(2)) == [0, 1]


def test_a_client_can_keep_a_state(tidewire_server: TidewireServer) -> None:
    apply = {"tasks": keyed("tasks", event_type="task", item="task")}
    ada = tidewire_server.follow("ada", apply=apply)
    tidewire_server.publish(a_notice("task", [1], task={"id": 7, "title": "a"}))
    ada.wait_for(1)
    assert ada.state is not None
    assert ada.state["tasks"] == {"7": {"id": 7, "title": "a"}}


def test_accounts_and_settings_are_the_tests_own(
    make_tidewire_server: Callable[..., TidewireServer],
) -> None:
    eve = Account(id=9, name="eve", realm_id=5)
    server = make_tidewire_server(accounts=[eve], settings=["queues.max_per_user=1"])
    with server.client("eve") as client:
        first = client.register()
        second = client.register()
        assert server.queue_ids() == [second.queue_id] != [first.queue_id]


def test_what_does_not_come_is_said(tidewire_server: TidewireServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidewire.testing.recorded_client.PATIENCE", 0.05)
    monkeypatch.setattr("tidewire.testing.server.PATIENCE", 0.05)
    ada = tidewire_server.follow("ada")
    with pytest.raises(AssertionError, match="1 events did not come"):
        ada.wait_for(1)
    with pytest.raises(AssertionError, match="7 queues"):
        tidewire_server.wait_for_queues(7)
    tidewire_server.kill()
    with pytest.raises(RuntimeError, match="not running"):
        tidewire_server.advance(1)
