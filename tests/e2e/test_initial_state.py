"""State over real sockets: a server with providers of its own, and one that asks an application (C28, R7.10)."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.http_stub import StubServer, success
from support.raw_http import Answer, request_bytes
from support.server_process import SECRET, ServerProcess, StartServer, credentials
from support.waiting import eventually

pytestmark = pytest.mark.slow

MODULE = """
import time
from pathlib import Path
from tidewire.initial_state import Provider

HERE = Path(__file__).parent

def read(asked):
    (HERE / "reading").touch()
    things = (HERE / "things").read_text().split()
    deadline = time.monotonic() + 20
    while not (HERE / "go-on").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return {"things": things}

def apply(state, event):
    state["things"] = sorted({*state["things"], event["name"]})

PROVIDERS = [Provider(fetch_type="things", event_types=frozenset({"thing"}), read=read, apply=apply)]
"""


def register_meanwhile(server: ServerProcess, answers: list[Answer]) -> threading.Thread:
    """Registers on a thread, for the answer is held back."""

    def ask() -> None:
        with server.connect() as connection:
            connection.send(
                request_bytes(
                    "POST",
                    "/api/v1/register",
                    form={"fetch_event_types": ["things"]},
                    headers=credentials("ada"),
                )
            )
            answers.append(connection.answer())

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


@pytest.fixture
def application_server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that finds the application's providers beside it."""
    server = ServerProcess(tmp_path, "state.modules=live_things:PROVIDERS")
    (tmp_path / "live_things.py").write_text(MODULE)
    (tmp_path / "things").write_text("a")
    server.start()
    yield server
    server.destroy()


def test_a_change_while_the_state_is_read_is_in_the_answer_once(application_server: ServerProcess) -> None:
    server, folder = application_server, application_server.directory
    answers: list[Answer] = []
    asking = register_meanwhile(server, answers)
    eventually((folder / "reading").exists, what="the state is being read")
    # Whether the reader saw the old or the new state, the answer has the new one.
    (folder / "things").write_text("a b")
    server.publish_event("ada", type="thing", name="b")
    server.publish_event("ada", type="thing", name="c")
    (folder / "go-on").touch()
    asking.join()
    (answer,) = answers
    assert (answer.json["things"], answer.json["last_event_id"]) == (["a", "b", "c"], 1)
    queue_id = answer.json["queue_id"]
    server.publish_event("ada", type="thing", name="d")
    assert [event["name"] for event in server.events("ada", queue_id, 1)] == ["d"]


def test_the_application_is_asked_with_the_secret_and_applies_what_came(start_server: StartServer) -> None:
    with StubServer() as application:
        server = start_server(f"state.callback_url={application.url}/state", "state.callback_attempts=1")
        application.script(success(state={"things": ["a"]}, event_types=["thing"]))
        answer = server.ask_as("ada", "POST", "/api/v1/register", form={"fetch_event_types": ["things"]})
        assert (answer.status, answer.json["things"], answer.json["last_event_id"]) == (200, ["a"], -1)
        assert application.asked[0].headers["Authorization"] == f"Bearer {SECRET}"
        told = json.loads(application.asked[0].body)
        assert (told["step"], told["user_id"], told["fetch_event_types"]) == ("read", 1, ["things"])

        # The script has ended: the application refuses, so there is neither an answer nor a queue.
        answer = server.ask_as("ada", "POST", "/api/v1/register", form={})
        assert (answer.status, answer.json["code"]) == (503, "STATE_UNAVAILABLE")
        gone = json.loads(application.asked[1].body)["queue_id"]
        query = {"queue_id": gone, "last_event_id": -1, "dont_block": True}
        answer = server.ask_as("ada", "GET", "/api/v1/events", query=query)
        assert (answer.json["code"], answer.json["reason"]) == ("BAD_EVENT_QUEUE_ID", "deleted")


def test_a_bare_server_has_what_published_clients_look_for(start_server: StartServer) -> None:
    server = start_server("storage.durability=power")
    answer = server.ask_as("bob", "POST", "/api/v1/register", form={"event_types": ["message"]})
    assert answer.json["max_message_id"] == -1
    assert "realm_users" not in answer.json
    answer = start_server("state.defaults=false").ask_as("bob", "POST", "/api/v1/register", form={})
    assert "max_message_id" not in answer.json
