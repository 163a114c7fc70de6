"""The published `zulip` behind a network that fails: nothing is lost, doubled or out of order (R6.83-R6.85)."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import zulip

from support import zulip_reader
from support.fault_proxy import Fault, FaultProxy
from support.published_clients import python_client
from support.reader_process import ReaderProcess
from support.server_process import KEYS, ServerProcess, email
from support.waiting import eventually

pytestmark = pytest.mark.slow

POLL = "GET /api/v1/events"


@pytest.fixture
def proxy(shared_server: ServerProcess) -> Iterator[FaultProxy]:
    with FaultProxy(shared_server.port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[zulip.Client]:
    with python_client(proxy.url, email=email("ada"), key=KEYS["ada"]) as client:
        yield client


class Loop(ReaderProcess):
    """A program that prints what `call_on_each_event` gives it."""

    def numbers(self, count: int) -> list[tuple[int, int]]:
        """Waits for so many events and returns the number and id of each."""
        lines = self.wait_for(1 + count)
        # One registration, at the beginning.
        assert [next(iter(line)) for line in lines] == ["registered"] + ["event"] * count
        return [(line["event"]["number"], line["event"]["id"]) for line in lines[1:]]


@pytest.fixture
def loop(shared_server: ServerProcess, proxy: FaultProxy, tmp_path: Path) -> Iterator[Loop]:
    """The loop, with its first poll parked."""
    script = [sys.executable, zulip_reader.__file__, proxy.url, email("ada"), KEYS["ada"]]
    with Loop(script, tmp_path) as loop:
        eventually(lambda: proxy.count(POLL) == 1, what="the first poll")
        yield loop
    for line in loop.lines:
        if "registered" in line:
            query = {"queue_id": line["registered"]}
            assert shared_server.ask_as("ada", "DELETE", "/api/v1/events", query=query).status == 200


@pytest.mark.parametrize("fault", [Fault.BAD_GATEWAY, Fault.HANG_UP, Fault.CUT, Fault.HOLD])
def test_the_loop_gets_every_event_once_and_in_order_whatever_happens_to_its_requests(
    shared_server: ServerProcess, proxy: FaultProxy, loop: Loop, fault: Fault
) -> None:
    proxy.set(fault)
    shared_server.publish_event("ada", type="t", number=1)
    # It met the parked poll's answer, or the poll after it.
    eventually(lambda: proxy.faults, what=fault.value)
    for number in (2, 3):
        shared_server.publish_event("ada", type="t", number=number)
    proxy.set(Fault.NONE)
    assert loop.numbers(3) == [(1, 0), (2, 1), (3, 2)]


def test_the_loop_goes_on_after_its_waiting_poll_was_dropped(
    shared_server: ServerProcess, proxy: FaultProxy, loop: Loop
) -> None:
    """It comes back with `dont_block` (R6.85), and waits again afterwards."""
    proxy.drop()
    eventually(lambda: proxy.count(POLL) >= 3, what="it asked, and waits again")
    shared_server.publish_event("ada", type="t", number=1)
    assert loop.numbers(1) == [(1, 0)]
    polls = [line for line in proxy.requests if line.startswith(POLL)]
    assert ["dont_block=true" in line for line in polls[:3]] == [False, True, False]


def test_a_poll_that_met_a_bad_gateway_comes_back_without_waiting(
    proxy: FaultProxy, client: zulip.Client
) -> None:
    """R6.85: the client adds `dont_block` to the request, so an empty queue answers at once."""
    queue_id = client.register(event_types=["t"])["queue_id"]
    proxy.set(Fault.BAD_GATEWAY, times=1)
    answer = client.get_events(queue_id=queue_id, last_event_id=-1)
    assert answer == {"result": "success", "msg": "", "events": [], "queue_id": queue_id}
    assert client.deregister(queue_id)["result"] == "success"


@pytest.mark.parametrize("fault", [Fault.BAD_GATEWAY, Fault.HANG_UP])
def test_a_registration_that_is_tried_again_says_what_it_did_not_understand(
    proxy: FaultProxy, client: zulip.Client, fault: Fault
) -> None:
    """R6.85, R6.11: `dont_block` comes along on every route, and disturbs none."""
    proxy.set(fault, times=1)
    answer = client.register(event_types=["t"])
    assert (answer["result"], answer["ignored_parameters_unsupported"]) == ("success", ["dont_block"])
    assert client.deregister(answer["queue_id"])["result"] == "success"


def test_a_deregistration_whose_answer_was_lost_says_that_the_queue_is_gone(
    proxy: FaultProxy, client: zulip.Client
) -> None:
    """R6.63: the server has done it, and the client does not know."""
    queue_id = client.register()["queue_id"]
    proxy.set(Fault.CUT, times=1)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.deregister(queue_id)
    assert client.deregister(queue_id)["code"] == "BAD_EVENT_QUEUE_ID"


@pytest.mark.parametrize(
    ("name", "text"), [("ZulipTerminal/0.7.0", "Bad event queue id: "), (None, "Bad event queue ID: ")]
)
def test_a_client_is_told_of_a_lost_queue_in_the_words_that_it_understands(
    shared_server: ServerProcess, name: str | None, text: str
) -> None:
    """R6.95: an old terminal client goes by the sentence, all others by the code."""
    with python_client(shared_server.url, email=email("ada"), key=KEYS["ada"], name=name) as client:
        queue_id = client.register()["queue_id"]
        client.deregister(queue_id)
        answer = client.get_events(queue_id=queue_id, last_event_id=-1)
    assert answer["msg"] == text + queue_id
    assert answer["code"] == "BAD_EVENT_QUEUE_ID"
