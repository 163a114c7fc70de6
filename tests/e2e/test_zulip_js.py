"""The published `zulip-js`, unmodified (R6.87, C27)."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from support.fault_proxy import Fault, FaultProxy
from support.published_clients import client_program, zuliprc
from support.reader_process import ReaderProcess
from support.server_process import KEYS, ServerProcess, email
from support.waiting import eventually

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "support" / "zulip_js_reader.js"
POLL = "GET /api/v1/events"

Call: TypeAlias = Callable[[str, str, dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="module")
def node() -> list[str]:
    """The program, without its arguments."""
    modules = client_program("zulip-js", "node_modules")
    return ["env", f"NODE_PATH={modules}", "node", str(SCRIPT)]


@pytest.fixture
def call(shared_server: ServerProcess, node: list[str], tmp_path: Path) -> Call:
    """Makes one call as Ada and returns its answer."""
    config = zuliprc(tmp_path, site=shared_server.url, email=email("ada"), key=KEYS["ada"])

    def run(resource: str, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        command = [*node, "call", str(config), resource, method, json.dumps(parameters)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - made here
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return run


@pytest.fixture
def proxy(server: ServerProcess) -> Iterator[FaultProxy]:
    with FaultProxy(server.port) as proxy:
        yield proxy


def test_a_queue_is_registered_read_and_deregistered(shared_server: ServerProcess, call: Call) -> None:
    """C27: a form in multipart whose `event_types` is `null`, and a DELETE with its parameters in the query."""
    registered = call("queues", "register", {"event_types": None})
    assert (registered["result"], registered["last_event_id"]) == ("success", -1)
    assert "ignored_parameters_unsupported" not in registered
    shared_server.publish_event("ada", type="t", number=1)
    queue = {"queue_id": registered["queue_id"]}
    answer = call("events", "retrieve", {**queue, "last_event_id": -1, "dont_block": False})
    assert answer["events"] == [{"type": "t", "number": 1, "id": 0}]
    assert call("queues", "deregister", queue) == {"result": "success", "msg": ""}
    answer = call("events", "retrieve", {**queue, "last_event_id": 0})
    assert (answer["result"], answer["code"]) == ("error", "BAD_EVENT_QUEUE_ID")


def test_a_list_of_types_is_understood_in_multipart(shared_server: ServerProcess, call: Call) -> None:
    queue_id = call("queues", "register", {"event_types": ["t"]})["queue_id"]
    shared_server.publish_event("ada", type="other")
    shared_server.publish_event("ada", type="t")
    assert [event["type"] for event in shared_server.events("ada", queue_id)] == ["t"]
    call("queues", "deregister", {"queue_id": queue_id})


def test_a_wrong_parameter_is_named(call: Call) -> None:
    answer = call("queues", "register", {"event_types": {"t": True}})
    assert (answer["code"], answer["msg"]) == ("BAD_REQUEST", "event_types is not a list")


def test_the_loop_gets_all_in_order_over_a_restart_and_a_bad_gateway(
    server: ServerProcess, proxy: FaultProxy, node: list[str], tmp_path: Path
) -> None:
    """It registers for all types, and hands on everything, `restart` too."""
    config = zuliprc(tmp_path, site=proxy.url, email=email("ada"), key=KEYS["ada"])
    with ReaderProcess([*node, "follow", str(config)], tmp_path) as loop:
        eventually(lambda: proxy.count(POLL), what="the first poll")
        proxy.set(Fault.BAD_GATEWAY, times=1)
        for number in range(3):
            server.publish_event("ada", type="t", number=number)
        loop.wait_for(3)
        server.restart()
        server.publish_event("ada", type="t", number=3)
        lines = loop.wait_for(5)
    assert [(line["id"], line["type"]) for line in lines] == [*enumerate(["t", "t", "t", "restart", "t"])]
    assert proxy.faults == 1
    assert proxy.count("POST /api/v1/register") == 1


def test_the_loop_asks_once_a_second_for_a_queue_that_is_gone(
    server: ServerProcess, proxy: FaultProxy, node: list[str], tmp_path: Path
) -> None:
    """R6.87: it never registers again, so its programs have to be started anew; the server answers each poll."""
    config = zuliprc(tmp_path, site=proxy.url, email=email("ada"), key=KEYS["ada"])
    with ReaderProcess([*node, "follow", str(config), '["t"]'], tmp_path) as loop:
        eventually(lambda: proxy.count(POLL), what="the first poll")
        server.restart(keep_state=False)
        eventually(lambda: proxy.count(POLL) >= 4, what="polls of the dead queue")
        server.publish_event("ada", type="t")
        assert loop.lines == []
    assert proxy.count("POST /api/v1/register") == 1
