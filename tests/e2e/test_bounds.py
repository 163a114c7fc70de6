"""Bounds and revocation as clients and publishers meet them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.server_process import KEYS, SECRET, USER_IDS, ServerProcess, email, user_entry, users_file
from tidewire.client import Client, Gap

pytestmark = pytest.mark.slow


@pytest.fixture
def bounded(tmp_path: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path, "queues.max_events=3", "queues.max_per_user=2", "log.level=info")
    try:
        server.start()
        yield server
    finally:
        server.destroy()


def gone(server: ServerProcess, name: str, queue_id: str) -> dict[str, object]:
    answer = server.ask_as(
        name, "GET", "/api/v1/events", query={"queue_id": queue_id, "last_event_id": -1, "dont_block": "true"}
    )
    assert answer.status == 400
    return dict(answer.json)


def test_the_owner_is_told_why_a_queue_is_gone_after_a_restart_too_and_nobody_else_is(
    bounded: ServerProcess,
) -> None:
    overflows, limited = bounded.register("ada"), bounded.register("bob")
    for number in range(4):
        bounded.publish_event("ada", type="deploy", n=number)
    bounded.register("bob")
    bounded.register("bob")
    for _ in range(2):
        assert gone(bounded, "ada", overflows)["reason"] == "overflow"
        assert gone(bounded, "bob", limited)["reason"] == "limit"
        foreign, unknown = gone(bounded, "bob", overflows), gone(bounded, "bob", "never-was")
        assert foreign["reason"] == "unknown"
        assert {**foreign, "queue_id": "", "msg": ""} == {**unknown, "queue_id": "", "msg": ""}
        bounded.restart()


def test_a_client_of_ours_hears_of_an_overflow_and_goes_on(bounded: ServerProcess) -> None:
    gaps: list[Gap] = []

    def told(gap: Gap) -> None:
        gaps.append(gap)
        bounded.publish_event("ada", type="deploy", n=99)

    with Client(bounded.url, email=email("ada"), api_key=KEYS["ada"]) as client:
        events = client.events(event_types=["deploy"], on_gap=told)
        bounded.publish_event("ada", type="deploy", n=0)
        assert next(events)["n"] == 0
        users = [USER_IDS["ada"]]
        bounded.publish(*({"event": {"type": "deploy", "n": number}, "users": users} for number in range(9)))
        assert next(events)["n"] == 99
    assert [gap.reason for gap in gaps] == ["overflow"]


def test_a_user_with_too_many_polls_gets_no_more_queues(bounded: ServerProcess) -> None:
    for _ in range(2):
        bounded.park("ada", bounded.register("ada"))
    answer = bounded.ask_as("ada", "POST", "/api/v1/register")
    assert (answer.status, answer.json["code"], answer.json["reason"]) == (400, "BAD_REQUEST", "limit")
    internal = bounded.ask(
        "POST",
        "/api/v1/events/internal",
        form={"secret": SECRET, "user_profile_id": USER_IDS["ada"], "dont_block": "true"},
    )
    assert (internal.status, internal.json["msg"]) == (400, "Could not allocate event queue")


def test_a_notice_revokes_a_user_at_once_and_another_restores(server: ServerProcess) -> None:
    poll = server.park("ada", server.register("ada"))
    user_id = USER_IDS["ada"]
    server.publish({"event": {"type": "revoke_user", "user_id": user_id}, "users": []})
    assert poll.answer().json["events"] == []
    for _ in range(2):
        answer = server.ask_as("ada", "POST", "/api/v1/register")
        assert (answer.status, answer.json["code"]) == (401, "USER_DEACTIVATED")
        server.restart()
    server.publish({"event": {"type": "restore_user", "user_id": user_id}, "users": []})
    server.register("ada")


@pytest.mark.parametrize("change", [{"role": "guest"}, {"active": False}, None], ids=str)
def test_what_changed_while_the_server_was_stopped_ends_queues_at_its_start(
    server: ServerProcess, change: dict[str, object] | None
) -> None:
    queue_id, others = server.register("ada"), server.register("bob")
    server.publish_event("ada", "bob", type="deploy")
    server.stop()
    names = [name for name in USER_IDS if name != "ada"]
    changed = "" if change is None else user_entry("ada", **change)
    server.users_path.write_text(users_file(*names) + changed)
    server.start()
    assert len(server.events("bob", others)) >= 1
    if change == {"role": "guest"}:
        assert gone(server, "ada", queue_id)["reason"] == "revoked"
    # Back in their rights, they don't get back what they had lost.
    server.stop()
    server.users_path.write_text(users_file(*USER_IDS))
    server.start()
    assert gone(server, "ada", queue_id)["reason"] == "revoked"


def test_a_full_memory_budget_is_told_to_publishers_and_clients(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, "queues.memory_budget=1KB")
    try:
        server.start()
        server.register("ada")
        for answer in (
            server.ask_as("ada", "POST", "/api/v1/register"),
            server.publish({"event": {"type": "deploy"}, "users": [1]}),
        ):
            assert (answer.status, answer.json["code"]) == (503, "SERVICE_UNAVAILABLE")
            assert answer.headers["retry-after"] == "1"
    finally:
        server.destroy()
