"""The users file while the server runs: changes are noticed, mistakes change nothing (D11)."""

import signal
from pathlib import Path

import pytest

from support.raw_http import basic
from support.server_process import KEYS, USER_IDS, ServerProcess, email, user_entry, users_file
from support.stopwatch import Stopwatch
from support.waiting import eventually

pytestmark = pytest.mark.slow

NOTICED_WITHIN = 5.0
"""Seconds: the file is looked at once a second."""


def replace_file(path: Path, text: str) -> None:
    """Puts another file in its place at once, as a careful program does."""
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(path)


def status_of_new(server: ServerProcess) -> int:
    headers = {"Authorization": basic(email("new"), "n" * 32)}
    return server.ask("GET", "/api/v1/users/me", headers=headers).status


def status_of(server: ServerProcess, name: str) -> int:
    return server.ask_as(name, "GET", "/api/v1/users/me").status


@pytest.mark.parametrize("how", ["replaced", "written in place"])
def test_a_new_user_can_log_in_soon_and_the_others_notice_nothing(server: ServerProcess, how: str) -> None:
    queue_id = server.register("ada")
    poll = server.park("ada", queue_id)
    assert status_of_new(server) == 401
    text = users_file(*USER_IDS) + user_entry("new")
    watch = Stopwatch(server.pid)
    if how == "replaced":
        replace_file(server.users_path, text)
    else:
        server.users_path.write_text(text)
    assert watch.until(lambda: status_of_new(server) == 200, what="the new user") < NOTICED_WITHIN
    server.publish_event("ada", type="t")
    assert len(poll.answer().json["events"]) == 1


def test_a_broken_file_keeps_the_old_users_and_is_logged_once(server: ServerProcess) -> None:
    watch = Stopwatch(server.pid)
    replace_file(server.users_path, "[[user]]\n")
    assert watch.until(lambda: "users file is wrong" in server.log, what="an error") < NOTICED_WITHIN
    assert status_of(server, "ada") == 200
    assert server.ask("GET", "/health/ready").status == 200
    watch = Stopwatch(server.pid)
    replace_file(server.users_path, users_file(*USER_IDS) + user_entry("new"))
    assert watch.until(lambda: status_of_new(server) == 200, what="the new user") < NOTICED_WITHIN
    assert server.log.count("users file is wrong") == 1
    assert "Traceback" not in server.log
    assert not any(key in server.log for key in KEYS.values())


def wait_for_complaints(server: ServerProcess, count: int) -> None:
    """Waits for so many errors about the file; it may be looked at between two signals too."""
    eventually(lambda: server.log.count("users file is wrong") >= count, what="an error in the log")


def test_whatever_is_wrong_with_the_file_the_old_users_stay(server: ServerProcess) -> None:
    for text in ("", "no TOML", "\x00", "[[user]]\nid = 1\n"):
        complaints = server.log.count("users file is wrong")
        replace_file(server.users_path, text)
        server.signal(signal.SIGHUP)
        wait_for_complaints(server, complaints + 1)
        assert status_of(server, "ada") == 200
    assert "Traceback" not in server.log


def test_a_file_that_is_gone_keeps_the_old_users(server: ServerProcess) -> None:
    watch = Stopwatch(server.pid)
    server.users_path.unlink()
    assert watch.until(lambda: "users file is wrong" in server.log, what="an error") < NOTICED_WITHIN
    assert status_of(server, "ada") == 200


def test_a_hangup_signal_reads_the_file_at_once_changed_or_not(server: ServerProcess) -> None:
    server.signal(signal.SIGHUP)
    eventually(lambda: server.log.count("users reloaded") == 1, what="the users are read again")
    server.signal(signal.SIGHUP)
    eventually(lambda: server.log.count("users reloaded") == 2, what="the users are read again")
    assert server.is_running()
    assert status_of(server, "ada") == 200


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"active": False}, 401, "USER_DEACTIVATED"),
        ({"api_key": "x" * 32}, 401, "INVALID_API_KEY"),
        ({"role": "guest"}, 400, "BAD_EVENT_QUEUE_ID"),
    ],
)
def test_what_a_user_may_no_longer_do_ends_their_queues(
    server: ServerProcess, change: dict[str, object], status: int, code: str
) -> None:
    """D11: also a poll that waits, and nobody else's."""
    queue_id, others = server.register("ada"), server.register("bob")
    poll = server.park("ada", queue_id)
    names = [name for name in USER_IDS if name != "ada"]
    replace_file(server.users_path, users_file(*names) + user_entry("ada", **change))
    assert poll.answer().json["events"] == []
    query = {"queue_id": queue_id, "last_event_id": -1}
    answer = server.ask_as("ada", "GET", "/api/v1/events", query=query)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert server.events("bob", others) == []
