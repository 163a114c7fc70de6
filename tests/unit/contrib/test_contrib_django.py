"""Django's side in process: outbox, relay, what the server asks, checks and the admin."""

import io
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from support.django_project import setup as _setup  # noqa: F401  # Django has to be set up before its models are imported
from support.http_stub import Reply, StubServer, failure, success
from support.server_process import SECRET

from django.contrib.auth import get_user_model  # isort: skip
from django.core.management import CommandError, call_command  # isort: skip
from django.db import transaction  # isort: skip
from django.test import Client, override_settings  # isort: skip
from django.utils import timezone  # isort: skip

from support.django_project.todos.models import Todo
from tidewire.contrib import django as live
from tidewire.contrib.django.checks import check_outbox, check_settings
from tidewire.contrib.django.conf import conf
from tidewire.contrib.django.identity import session_name
from tidewire.contrib.django.models import Outgoing
from tidewire.contrib.django.relay import Relay
from tidewire.core.errors import InvalidNotice
from tidewire.publisher import PublishFailed
from tidewire.testing.builders import a_notice
from tidewire.testing.server import TidewireServer

pytestmark = pytest.mark.usefixtures("database")

SETTINGS = {"URL": "http://127.0.0.1:1", "SECRET": SECRET}


Relaying = Callable[..., Relay]


@pytest.fixture
def relay(stub: StubServer) -> Iterator[Relaying]:
    """Makes relays to the stub."""
    made: list[Relay] = []

    def make(**changes: Any) -> Relay:
        with override_settings(TIDEWIRE={**SETTINGS, "URL": stub.url, **changes}):
            made.append(Relay(conf(), retry_for=0.2))
        return made[-1]

    yield make
    for each in made:
        each.close()


def texts() -> list[str]:
    return [json.loads(row.content)["event"]["text"] for row in Outgoing.objects.order_by("id")]


def note(text: str) -> None:
    live.send_event(realm_id=1, event={"type": "note", "text": text}, users=[1])


def test_an_event_lives_and_dies_with_its_transaction() -> None:
    with transaction.atomic():
        note("committed")
    with transaction.atomic():
        note("rolled back")
        transaction.set_rollback(True)
    assert texts() == ["committed"]


def test_a_wrong_event_is_refused_where_it_is_sent_and_the_transaction_goes_on() -> None:
    with transaction.atomic():
        for event in ({}, {"type": 1}, {"type": "x", "y": object()}, {"type": "x", "y": float("nan")}):
            with pytest.raises(InvalidNotice):
                live.send_event(event=event, users=[1])
        note("good")
    assert texts() == ["good"]


def test_dates_are_written_as_django_writes_them() -> None:
    live.send_event(event={"type": "note", "text": timezone.now().date()}, users=[1])
    assert texts() == [timezone.now().date().isoformat()]


def test_the_relay_sends_in_order_and_removes_what_is_confirmed(stub: StubServer, relay: Relaying) -> None:
    for text in "abc":
        note(text)
    stub.script(success(accepted=2), success(accepted=1))
    small = relay(BATCH=2)
    assert (small.run_once(), small.run_once(), small.run_once()) == (2, 1, 0)
    sent = [notice["event"]["text"] for asked in stub.asked for notice in asked.notices]
    assert sent == ["a", "b", "c"]
    assert stub.asked[0].headers["Authorization"] == f"Bearer {SECRET}"
    assert texts() == []


def test_what_is_not_confirmed_stays_under_the_same_id(stub: StubServer, relay: Relaying) -> None:
    """A crash, or a lost answer, between publishing and removing: the server knows the id and tells nobody twice."""
    note("a")
    stub.script(*[Reply(drop=True)] * 100)
    sender = relay()
    with pytest.raises(PublishFailed):
        sender.run_once()
    assert texts() == ["a"]
    stub.replies.clear()
    stub.script(success(accepted=1))
    assert sender.run_once() == 1
    assert len({notice["id"] for asked in stub.asked for notice in asked.notices}) == 1
    assert texts() == []


def test_what_is_refused_for_good_is_kept_with_its_reason_and_holds_up_nothing(
    stub: StubServer, relay: Relaying
) -> None:
    for text in "abc":
        note(text)
    refusal = failure(400, "INVALID_NOTICE", "Not like this", index=1)
    alone = failure(400, "INVALID_NOTICE", "Not like this", index=0)
    stub.script(refusal, success(accepted=1), alone, success(accepted=1))
    assert relay().run_once() == 3
    (kept,) = Outgoing.objects.all()
    assert kept.reason == "Not like this (INVALID_NOTICE)"
    assert kept.refused is not None
    assert relay().run_once() == 0


def test_a_wrong_secret_refuses_no_notice(stub: StubServer, relay: Relaying) -> None:
    note("a")
    stub.script(failure(403, "BAD_REQUEST", "Access denied"))
    with pytest.raises(PublishFailed):
        relay().run_once()
    assert Outgoing.objects.filter(refused=None).count() == 1


def test_revocations_keep_their_place_among_events(stub: StubServer, relay: Relaying) -> None:
    note("before")
    live.revoke_session("key")
    live.revoke_user(7)
    stub.script(success(accepted=1), success(queues_ended=1), success(accepted=1))
    assert relay().run_once() == 3
    first, second, third = stub.asked
    assert first.notices[0]["event"]["text"] == "before"
    assert (second.path, second.form) == ("/api/internal/revoke_session", {"session": session_name("key")})
    assert "key" not in second.body.decode().replace("session", "")
    assert third.notices[0]["event"] == {"type": "revoke_user", "user_id": 7}


def test_a_session_is_revoked_on_every_shard(stub: StubServer, relay: Relaying) -> None:
    live.revoke_session("key")
    with StubServer() as other:
        stub.script(success(queues_ended=1))
        other.script(failure(503, "UNAVAILABLE", "The server is stopping"), success(queues_ended=1))
        sender = relay(SHARDS=[stub.url, other.url])
        with pytest.raises(PublishFailed):
            sender.run_once()
        assert Outgoing.objects.count() == 1
        stub.script(success(queues_ended=0))
        assert sender.run_once() == 1
        assert [asked.path for asked in other.asked] == ["/api/internal/revoke_session"] * 2
        sender.close()


def test_the_command_empties_the_outbox_once_or_says_why_not(stub: StubServer) -> None:
    note("a")
    stub.script(success(accepted=1))
    with override_settings(TIDEWIRE={**SETTINGS, "URL": stub.url}):
        call_command("tidewire_relay", once=True)
    assert texts() == []
    note("b")
    stub.script(failure(403, "BAD_REQUEST", "Access denied"))
    with (
        override_settings(TIDEWIRE={**SETTINGS, "URL": stub.url}),
        pytest.raises(CommandError, match="Access"),
    ):
        call_command("tidewire_relay", once=True)


def whoami(client: Client, *, secret: str = SECRET, **headers: str) -> Any:
    return client.post(
        "/live/whoami",
        json.dumps({"is_session": not headers, "host": "x"}),
        content_type="application/json",
        headers={"X-Tidewire-Secret": secret, **headers},
    )


def test_the_server_is_told_who_a_session_is(ada: int) -> None:
    client = Client()
    assert whoami(client).status_code == 401
    client.post("/login", {"name": "ada"})
    answer = whoami(client).json()
    assert answer["user"] == {
        "id": ada,
        "realm_id": 1,
        "email": "ada@test.example",
        "full_name": "ada",
        "role": "admin",
        "active": True,
    }
    key = client.session.session_key
    assert (answer["session"], key in json.dumps(answer)) == (session_name(key), False)
    assert answer["expires_in"] > 1000


def test_the_server_is_told_who_a_header_is(ada: int) -> None:
    assert whoami(Client(), Authorization="Key ada").json()["user"]["id"] == ada
    assert "session" not in whoami(Client(), Authorization="Key ada").json()
    assert whoami(Client(), Authorization="Key nobody").status_code == 401


@pytest.mark.parametrize("secret", ["", "wrong", SECRET[:-1], "ä"])
def test_nobody_else_is_told_anything(ada: int, secret: str) -> None:  # noqa: ARG001 - wanted for what it does
    client = Client(enforce_csrf_checks=True)
    client.post("/login", {"name": "ada"})
    assert whoami(client, secret=secret).status_code == 403
    answer = client.post(
        "/live/state", "{}", content_type="application/json", headers={"Authorization": f"Bearer {secret}"}
    )
    assert answer.status_code == 403
    assert client.get("/live/whoami", headers={"X-Tidewire-Secret": SECRET}).status_code == 405


def test_a_logout_revokes_the_session_with_its_transaction(ada: int) -> None:  # noqa: ARG001 - wanted for what it does
    client = Client()
    client.post("/login", {"name": "ada"})
    key = client.session.session_key
    client.post("/logout")
    (row,) = Outgoing.objects.all()
    assert (row.kind, row.content) == ("session", session_name(key))


def state(told: dict[str, Any]) -> Any:
    about = {
        "user_id": told.pop("user_id"),
        "realm_id": 1,
        "email": "ada@test.example",
        "queue_id": "q",
        "fetch_event_types": None,
        "event_types": None,
        "options": {},
    }
    answer = Client().post(
        "/live/state",
        json.dumps({**about, **told}),
        content_type="application/json",
        headers={"Authorization": f"Bearer {SECRET}"},
    )
    assert answer.status_code == 200, answer
    return answer.json()


def test_the_state_is_read_and_events_are_applied_by_what_stands_next_to_the_models(ada: int) -> None:
    todo = Todo.objects.create(owner_id=ada, text="read")
    read = state({"step": "read", "user_id": ada})
    assert read == {"state": {"todos": {str(todo.pk): "read"}}, "event_types": ["todo"]}
    event = {"type": "todo", "id_": 99, "text": "applied", "id": 0}
    applied = state({"step": "apply", "user_id": ada, "state": read["state"], "events": [event, event]})
    assert applied["state"]["todos"] == {str(todo.pk): "read", "99": "applied"}
    assert state({"step": "read", "user_id": ada, "fetch_event_types": ["other"]}) == {
        "state": {},
        "event_types": [],
    }


def test_one_fetch_type_has_one_provider() -> None:
    with pytest.raises(ValueError, match="todos"):
        live.provide(live.Provider(fetch_type="todos", read=lambda _: {}))


def ids(settings: dict[str, Any], **more: Any) -> list[str]:
    with override_settings(TIDEWIRE=settings, **more):
        return [problem.id for problem in check_settings()]


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        (SETTINGS, []),
        ({}, ["tidewire.E001"]),
        ({**SETTINGS, "URLS": "x"}, ["tidewire.E001"]),
        ({**SETTINGS, "URL": "amqp://x"}, ["tidewire.E002"]),
        ({**SETTINGS, "SHARDS": ["http://127.0.0.1:1", "x"]}, ["tidewire.E002"]),
        ({**SETTINGS, "SECRET": "short"}, ["tidewire.E003"]),
        ({**SETTINGS, "DESCRIBE": "there.is.none"}, ["tidewire.E004"]),
        ({**SETTINGS, "DATABASE": "other"}, ["tidewire.E005"]),
    ],
)
def test_the_setting_is_checked(settings: dict[str, Any], found: list[str]) -> None:
    assert ids(settings) == found
    kept_in_cookies = ids(settings, SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies")
    assert kept_in_cookies == (found if found == ["tidewire.E001"] else [*found, "tidewire.W004"])
    assert set(ids(settings, MIDDLEWARE=())) >= ({"tidewire.W001"} if found != ["tidewire.E001"] else set())


def test_an_outbox_that_nobody_empties_is_told_of() -> None:
    note("a")
    assert check_outbox(databases=["default"]) == []
    Outgoing.objects.update(created=timezone.now() - timedelta(minutes=2))
    assert [problem.id for problem in check_outbox(databases=["default"])] == ["tidewire.W002"]
    Outgoing.objects.update(refused=timezone.now())
    assert [problem.id for problem in check_outbox(databases=["default"])] == ["tidewire.W003"]
    assert check_outbox() == []


def test_the_models_have_their_migrations() -> None:
    call_command("makemigrations", "tidewire", check=True, dry_run=True, verbosity=0, stdout=io.StringIO())


def test_the_admin_shows_what_was_refused_and_the_server_s_queues(stub: StubServer) -> None:
    get_user_model().objects.create_superuser("root")
    client = Client()
    client.post("/login", {"name": "root"})
    note("a")
    Outgoing.objects.update(refused=timezone.now(), reason="Not like this")
    assert b"Not like this" in client.get("/admin/tidewire/outgoing/").content
    (row,) = Outgoing.objects.all()
    client.post("/admin/tidewire/outgoing/", {"action": "try_again", "_selected_action": [row.pk]})
    assert Outgoing.objects.get().refused is None
    stub.script(failure(404, "NOT_FOUND", "Not Found"))
    with override_settings(TIDEWIRE={**SETTINGS, "URL": stub.url}):
        assert b"Not Found" in client.get("/admin/tidewire/queue/").content
    with override_settings(TIDEWIRE=SETTINGS):
        assert b"does not say" in client.get("/admin/tidewire/queue/").content


def test_the_admin_shows_the_queues_that_a_real_server_has(ada: int, tidewire_server: TidewireServer) -> None:
    get_user_model().objects.create_superuser("root")
    client = Client()
    client.post("/login", {"name": "root"})
    (owner,) = (account for account in tidewire_server.accounts.values() if account.id == ada)
    with tidewire_server.client(owner.name) as queues:
        queue_id = queues.register(event_types=["note"]).queue_id
    tidewire_server.publish(a_notice("note", [ada], text="held"))
    with override_settings(TIDEWIRE={"URL": tidewire_server.url, "SECRET": tidewire_server.secret}):
        page = client.get("/admin/tidewire/queue/").content.decode()
        none = client.get("/admin/tidewire/queue/", {"user_id": 999, "sort": "events"}).content.decode()
        wrong = client.get("/admin/tidewire/queue/", {"sort": "colour"}).content.decode()
    assert f"<code>{queue_id}</code>" in page
    assert f"ada ({ada})" in page
    assert "1 of 1 queue<" in page
    assert "2026" in page  # the server's clock stands in that year
    assert "0 of 0 queues" in none
    assert "sort must be one of" in wrong


def test_the_queues_are_for_those_who_may_see_them(ada: int) -> None:  # noqa: ARG001 - wanted for what it does
    client = Client()
    client.post("/login", {"name": "ada"})
    assert client.get("/admin/tidewire/queue/").status_code == 403
