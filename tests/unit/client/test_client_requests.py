"""One method, one request: what the client sends, and what it makes of the answer."""

import base64
import json
import os
import traceback
from typing import Any

import pytest

from support.fake_time import FakeTime
from support.http_stub import Reply, StubServer, failure, success
from tidewire import TidewireError
from tidewire.client import (
    BadAnswer,
    BadUrl,
    Client,
    ClientClosed,
    ConnectionFailed,
    QueueGone,
    RequestRefused,
)

KEY = "k" * 32


def client_of(stub: StubServer, *, timeout: float = 90.0) -> Client:
    return Client(stub.url, email="ada@demo.example", api_key=KEY, timeout=timeout, _timing=FakeTime().timing)


def test_register_sends_what_the_published_client_sends(stub: StubServer) -> None:
    """R6.81, R6.82: strings bare, the rest JSON, None left out, narrow always there."""
    stub.script(success(queue_id="q", last_event_id=-1, idle_queue_timeout_secs=600, extra=[1]))
    with client_of(stub) as client:
        registration = client.register(["message"], client="zürich", apply_markdown=True, slim_presence=None)
    assert stub.asked[0].path == "/api/v1/register"
    assert stub.asked[0].form == {
        "event_types": '["message"]',
        "narrow": "[]",
        "client": "zürich",
        "apply_markdown": "true",
    }
    assert (registration.queue_id, registration.last_event_id, registration.idle_timeout) == ("q", -1, 600)
    assert registration.answer["extra"] == [1]


def test_requests_carry_basic_credentials_and_a_name(stub: StubServer) -> None:
    """R6.2: the user name is the email, the password the API key."""
    stub.script(success(queue_id="q", last_event_id=-1))
    with client_of(stub) as client:
        client.register()
    scheme, _, credentials = stub.asked[0].headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(credentials).decode() == f"ada@demo.example:{KEY}"
    assert stub.asked[0].headers["User-Agent"].startswith("TidewirePython/")


def test_a_poll_sends_its_parameters_in_the_query_and_returns_heartbeats_too(stub: StubServer) -> None:
    """R6.81: GET parameters stand in the query."""
    stub.script(success(events=[{"id": 3, "type": "heartbeat"}]))
    with client_of(stub) as client:
        assert client.get_events("a b&c", 2, dont_block=True) == [{"id": 3, "type": "heartbeat"}]
    assert stub.polls[0].query == {"queue_id": "a b&c", "last_event_id": "2", "dont_block": "true"}


def test_deregister_names_the_queue_in_a_form(stub: StubServer) -> None:
    """R6.86: DELETE has a form body."""
    with client_of(stub) as client:
        client.deregister("q7")
    assert stub.deleted == ["q7"]


def test_one_connection_serves_many_requests(stub: StubServer) -> None:
    stub.script(*[success(events=[])] * 5)
    with client_of(stub) as client:
        for _ in range(5):
            client.get_events("q", -1)
    assert stub.connections == 1


def test_a_connection_that_the_server_closes_after_its_answer_is_replaced(stub: StubServer) -> None:
    body = {"result": "success", "msg": "", "events": []}
    stub.script(Reply(body, close=True), Reply(body))
    with client_of(stub) as client:
        client.get_events("q", -1)
        client.get_events("q", -1)
    assert stub.connections == 2


def test_a_kept_connection_found_closed_is_replaced_without_an_error(stub: StubServer) -> None:
    stub.script(success(events=[]), Reply(drop=True), success(events=[]))
    with client_of(stub) as client:
        client.get_events("q", -1)
        assert client.get_events("q", -1) == []
    assert stub.connections == 2


def test_a_new_connection_that_drops_is_an_error_at_once(stub: StubServer) -> None:
    stub.script(Reply(drop=True))
    with client_of(stub) as client, pytest.raises(ConnectionFailed):
        client.get_events("q", -1)
    assert len(stub.asked) == 1


def test_a_refusal_carries_code_status_sentence_and_data(stub: StubServer) -> None:
    """R6.5: the error's data stands beside result, msg and code."""
    stub.script(failure(400, "REQUEST_VARIABLE_MISSING", "Missing 'x' argument", var_name="x"))
    with client_of(stub) as client, pytest.raises(RequestRefused) as caught:
        client.register()
    error = caught.value
    assert isinstance(error, TidewireError)
    assert (error.code, error.http_status, error.message) == (
        "REQUEST_VARIABLE_MISSING",
        400,
        "Missing 'x' argument",
    )
    assert error.data == {"var_name": "x"}
    assert not error.retry_helps


@pytest.mark.parametrize(
    ("status", "helps"), [(400, False), (401, False), (404, False), (429, True), (500, True), (503, True)]
)
def test_a_retry_helps_after_429_and_5xx_only(stub: StubServer, status: int, helps: bool) -> None:
    stub.script(failure(status, "ANY"))
    with client_of(stub) as client, pytest.raises(RequestRefused) as caught:
        client.register()
    assert caught.value.retry_helps is helps


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"", b"\xff\xfe\x00", b"[" * 100_000, b"[1]"])
def test_an_error_that_is_no_json_object_still_says_its_status(stub: StubServer, body: bytes) -> None:
    """R6.85: a body that is not JSON is an http-error."""
    stub.script(Reply(body, 502))
    with client_of(stub) as client, pytest.raises(RequestRefused, match="502") as caught:
        client.register()
    assert caught.value.code == "HTTP_ERROR"
    assert caught.value.retry_helps


def test_a_success_that_is_no_json_is_a_bad_answer(stub: StubServer) -> None:
    stub.script(Reply(b"<html>Welcome</html>"))
    with client_of(stub) as client, pytest.raises(BadAnswer, match="URL"):
        client.register()


@pytest.mark.parametrize("events", [None, {}, [1], [{"type": "x"}], [{"id": "7"}]])
def test_a_poll_answer_without_proper_events_is_a_bad_answer(stub: StubServer, events: object) -> None:
    stub.script(success(events=events))
    with client_of(stub) as client, pytest.raises(BadAnswer):
        client.get_events("q", -1)


def test_a_registration_without_a_queue_is_a_bad_answer(stub: StubServer) -> None:
    """R6.59: such an answer has `queue_id` null."""
    stub.script(success(queue_id=None, last_event_id=-1))
    with client_of(stub) as client, pytest.raises(BadAnswer):
        client.register()


@pytest.mark.parametrize(
    ("data", "reason"), [({"reason": "expired"}, "expired"), ({}, "unknown"), ({"reason": 7}, "unknown")]
)
def test_a_lost_queue_says_why(stub: StubServer, data: dict[str, Any], reason: str) -> None:
    stub.script(failure(400, "BAD_EVENT_QUEUE_ID", "Bad event queue ID: q", queue_id="q", **data))
    with client_of(stub) as client, pytest.raises(QueueGone) as caught:
        client.get_events("q", -1)
    assert caught.value.reason == reason


def test_nothing_listening_is_a_sentence_with_the_address(stub: StubServer) -> None:
    stub.stop()
    with (
        client_of(stub) as client,
        pytest.raises(ConnectionFailed, match=r"Nothing listens at http://127\.0\.0\.1:"),
    ):
        client.register()


def test_an_answer_that_does_not_come_in_time_is_a_failed_connection(stub: StubServer) -> None:
    stub.script(Reply(hang=True))
    client = Client(stub.url, email="e", api_key=KEY, timeout=0.02)
    with client, pytest.raises(ConnectionFailed, match=r"within 0\.02 s"):
        client.get_events("q", -1)


def test_an_answer_that_breaks_off_is_a_failed_connection(stub: StubServer) -> None:
    stub.script(Reply(b'{"result": "succ', cut=True))
    with client_of(stub) as client, pytest.raises(ConnectionFailed, match="broke off"):
        client.get_events("q", -1)


def test_texts_keep_their_characters_both_ways(stub: StubServer) -> None:
    stub.script(success(events=[{"id": 0, "type": "x", "text": "Grüße 👋 漢字"}]))
    with client_of(stub) as client:
        assert client.get_events("schlüssel", -1)[0]["text"] == "Grüße 👋 漢字"
    assert stub.polls[0].query["queue_id"] == "schlüssel"


def test_credentials_stand_in_no_exception(stub: StubServer) -> None:
    stub.script(
        failure(401, "INVALID_API_KEY", "Invalid API key"),
        Reply(drop=True),
        Reply(b"?"),
        Reply(b"{", cut=True),
    )
    encoded = base64.b64encode(f"ada@demo.example:{KEY}".encode()).decode()
    with client_of(stub) as client:
        for _ in range(4):
            with pytest.raises(TidewireError) as caught:
                client.register()
            text = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)
            assert KEY not in text
            assert encoded not in text
    assert KEY not in repr(client)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:9800",
        "ftp://host",
        "http://",
        "http://host:notaport",
        "http://ada:geheim@host",
        "http://host/?a=b",
        "http://host/ x",
        "http://höst",
        "amqp://guest@host",
    ],
)
def test_an_unusable_url_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(BadUrl) as caught:
        Client(url, email="e", api_key=KEY)
    assert "geheim" not in str(caught.value)
    assert not caught.value.retry_helps


def test_a_path_in_the_url_stands_before_the_routes(stub: StubServer) -> None:
    stub.script(success(queue_id="q", last_event_id=0))
    with Client(stub.url + "/zone/", email="e", api_key=KEY) as client:
        client.register()
    assert stub.asked[0].path == "/zone/api/v1/register"


def test_a_closed_client_says_so(stub: StubServer) -> None:
    client = client_of(stub)
    client.close()
    client.close()
    with pytest.raises(ClientClosed):
        client.register()


def test_a_forked_process_makes_a_connection_of_its_own(
    stub: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parent and child on one connection would read each other's answers."""
    stub.script(success(events=[]), success(events=[]))
    with client_of(stub) as client:
        client.get_events("q", -1)
        process_id = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: process_id + 1)
        client.get_events("q", -1)
    assert stub.connections == 2


def test_a_bad_json_value_in_a_parameter_is_the_callers_error(stub: StubServer) -> None:
    with client_of(stub) as client, pytest.raises(TypeError):
        client.register(client_capabilities={"a": object()})
    assert json.dumps(stub.asked) == "[]"
