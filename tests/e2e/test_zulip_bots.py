"""The published `zulip-bots` and `zulip` on the messages of the demo (R4.6, R4.10, R6.83)."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zulip

from support import zulip_reader
from support.demo_server import DemoServer, demo_server, running
from support.fault_proxy import FaultProxy
from support.published_clients import client_program, python_client, zuliprc
from support.reader_process import ReaderProcess
from support.waiting import eventually

pytestmark = [
    pytest.mark.slow,
]

POLL = "GET /api/v1/events"
KEYS = {"ada": "a" * 32, "bob": "b" * 32, "gil": "g" * 32, "botty": "t" * 32}


def address(name: str) -> str:
    return f"{name}@demo.example"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServer]:
    with demo_server(
        [sys.executable, "-m", "tidewire"], tmp_path_factory.mktemp("demo"), "--quiet"
    ) as server:
        yield server


@pytest.fixture
def proxy(demo: DemoServer) -> Iterator[FaultProxy]:
    """Lets a test see what a client has asked for."""
    with FaultProxy(demo.port) as proxy:
        yield proxy


@pytest.fixture
def ada(demo: DemoServer) -> Iterator[zulip.Client]:
    with python_client(demo.url, email=address("ada"), key=KEYS["ada"]) as client:
        yield client


class Queue:
    """A queue of messages and reactions."""

    def __init__(self, client: zulip.Client) -> None:
        self._client = client
        registered = client.register(event_types=["message", "reaction"])
        assert registered["result"] == "success", registered
        self._id = registered["queue_id"]
        self._last_event_id = -1

    def take(self, count: int) -> list[dict[str, Any]]:
        """Waits for so many events."""
        events: list[dict[str, Any]] = []
        while len(events) < count:
            answer = self._client.get_events(queue_id=self._id, last_event_id=self._last_event_id)
            self._last_event_id = answer["events"][-1]["id"]
            events += answer["events"]
        return events


def test_the_helloworld_bot_answers_a_message_and_a_mention(
    demo: DemoServer, proxy: FaultProxy, ada: zulip.Client, tmp_path: Path
) -> None:
    program = client_program("zulip-bots", "bin/zulip-run-bot")
    config = zuliprc(tmp_path, site=proxy.url, email=address("botty"), key=KEYS["botty"])
    command = [str(program), "helloworld", "--config-file", str(config)]
    queue = Queue(ada)
    with running(command, output=tmp_path / "bot.log", cwd=tmp_path) as bot:
        eventually(lambda: proxy.count(POLL), what="the bot's first poll")
        ada.send_message({"type": "private", "to": [address("botty")], "content": "Hello"})
        sent, answered, reacted = queue.take(3)
        assert (sent["message"]["content"], sent["flags"]) == ("Hello", ["read"])
        assert (answered["message"]["content"], answered["flags"]) == ("beep boop", [])
        assert answered["message"]["sender_email"] == address("botty")
        assert [user["email"] for user in answered["message"]["display_recipient"]] == [
            address("ada"),
            address("botty"),
        ]
        assert answered["message"]["client"] == "ZulipHelloworldBot"
        reaction = {"message_id": sent["message"]["id"], "emoji_name": "wave", "user_id": 4}
        assert reacted.items() >= reaction.items()
        ada.send_message(
            {"type": "stream", "to": "general", "topic": "bots", "content": "@**Botty** are you there?"}
        )
        _sent, answered, _reacted = queue.take(3)
        where = {"display_recipient": "general", "subject": "bots", "content": "beep boop", "type": "stream"}
        assert answered["message"].items() >= where.items()
        assert bot.poll() is None
    assert "Traceback" not in (tmp_path / "bot.log").read_text()
    assert "Traceback" not in demo.output.read_text()


def test_the_clients_message_loop_gets_what_others_write(
    proxy: FaultProxy, demo: DemoServer, tmp_path: Path
) -> None:
    """`call_on_each_message`: direct messages to oneself and channel messages, of one's own too."""
    script = [sys.executable, zulip_reader.__file__, proxy.url, address("gil"), KEYS["gil"], "messages"]
    with (
        ReaderProcess(script, tmp_path) as gil,
        python_client(demo.url, email=address("bob"), key=KEYS["bob"]) as bob,
    ):
        eventually(lambda: proxy.count(POLL), what="the first poll")
        for message in (
            {"type": "direct", "to": [3], "content": "only you"},
            {"type": "direct", "to": [1], "content": "only Ada"},
            {"type": "channel", "to": "general", "topic": "t", "content": "all"},
            {"type": "channel", "to": "deployments", "topic": "t", "content": "no guests"},
            {"type": "direct", "to": [1, 3], "content": "you two"},
        ):
            assert bob.send_message(message)["result"] == "success"
        lines = gil.wait_for(4)
    messages = [line["message"] for line in lines[1:]]
    assert [message["content"] for message in messages] == ["only you", "all", "you two"]
    assert not any(
        name in message for message in messages for name in ("rendered_content", "sender_realm_id")
    )
