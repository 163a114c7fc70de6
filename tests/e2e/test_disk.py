"""A disk that is full, and files that are damaged, at a real server (D4)."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.server_process import ServerProcess, StartServer, clean_environment, users_file
from support.waiting import eventually


def degraded(server: ServerProcess) -> Any:
    """What readiness names, with status 200 all the while."""
    answer = server.ask("GET", "/health/ready")
    assert answer.status == 200
    return answer.json.get("degraded")


@pytest.mark.parametrize("durability", ["process", "power"])
def test_a_full_disk_refuses_publishers_at_once_and_goes_on_by_itself(
    start_server: StartServer, durability: str
) -> None:
    """The log is on the same disk, as it often is: an entry that can't be written must not hold anybody up."""
    server = start_server(f"storage.durability={durability}")
    queue_id = server.register("ada")
    server.publish_event("ada", type="before")
    server.limit_files(0)
    for _ in range(2):
        answer = server.publish({"id": "retried", "event": {"type": "during"}, "users": [1]})
        assert (answer.status, answer.json["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert server.ask_as("ada", "POST", "/api/v1/register").status == 503
    assert degraded(server) == ["journal"]
    assert [event["type"] for event in server.events("ada", queue_id)] == ["before"]
    parked = server.park("ada", queue_id, 0)
    server.limit_files(None)
    # Nobody asks for anything: a tick finds out.
    eventually(lambda: degraded(server) is None, what="the journal can be written again")
    answer = server.publish({"id": "retried", "event": {"type": "during"}, "users": [1]})
    assert answer.status == 200
    assert [event["type"] for event in parked.answer().json["events"]] == ["during"]
    server.signal(signal.SIGKILL)
    server.wait()
    server.start()
    assert [event["type"] for event in server.events("ada", queue_id, 0)] == ["during", "restart"]
    assert "Traceback" not in server.log


def killed_with_three_events(server: ServerProcess) -> tuple[str, Path]:
    """A queue with events 0 to 2, each a record of its own, and the segment that holds them."""
    queue_id = server.register("ada")
    for number in range(3):
        server.publish_event("ada", type="t", number=number)
    server.signal(signal.SIGKILL)
    server.wait()
    return queue_id, max(server.state.glob("segment-*"))


def told_of_damage(server: ServerProcess) -> str:
    """The log's line about damage."""
    (line,) = [line for line in server.log.splitlines() if "state damaged" in line]
    return line


def test_half_a_record_at_the_end_costs_nothing_else(server: ServerProcess) -> None:
    queue_id, segment = killed_with_three_events(server)
    with segment.open("ab") as file:
        file.write(b"\x90\x01\x00\x00half a record")
    server.start()
    events = server.events("ada", queue_id)
    assert [event["type"] for event in events] == ["t", "t", "t", "restart"]
    assert "bytes=17" in told_of_damage(server)
    assert (server.state / f"{segment.name}.damaged-1").read_bytes().endswith(b"half a record")


def test_a_flipped_bit_ends_the_queues_that_may_have_lost_an_event_and_says_so_in_numbers(
    server: ServerProcess,
) -> None:
    queue_id, segment = killed_with_three_events(server)
    content = bytearray(segment.read_bytes())
    at = content.index(b'"number": 1')
    content[at] ^= 1
    segment.write_bytes(content)
    server.start()
    answer = server.ask_as("ada", "GET", "/api/v1/events", query={"queue_id": queue_id, "last_event_id": -1})
    assert (answer.json["code"], answer.json["reason"]) == ("BAD_EVENT_QUEUE_ID", "damaged")
    line = told_of_damage(server)
    dropped, records = (int(re.findall(rf"{what}=(\d+)", line)[0]) for what in ("bytes", "records"))
    assert dropped > 100
    assert records == 1
    kept = server.state / f"{segment.name}.damaged-1"
    assert kept.read_bytes() == bytes(content)
    queue_id = server.register("ada")
    server.publish_event("ada", type="after")
    assert [event["type"] for event in server.events("ada", queue_id)] == ["after"]


BOUND_BY_MODES = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
"""Runs a command of root's to which the modes of files apply as to anybody."""


def test_a_directory_that_cannot_be_written_is_refused_in_one_line(server: ServerProcess) -> None:
    assert server.stop() == 0
    server.state.chmod(0o500)
    try:
        server.launch(*BOUND_BY_MODES if os.geteuid() == 0 else ())
        assert server.wait() == 1
    finally:
        server.state.chmod(0o700)
    assert server.log.splitlines()[-1].startswith(f"tidewire: {server.state} can't be used")


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("check-config", ["server.secret_file: found permission denied", "storage.directory: found"]),
        ("doctor", ["can't be reached: Permission denied"]),
    ],
)
def test_a_directory_under_one_that_cannot_be_searched_is_told_of(
    tmp_path: Path, command: str, found: list[str]
) -> None:
    (tmp_path / "users.toml").write_text(users_file("ada"))
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            [
                *(BOUND_BY_MODES if os.geteuid() == 0 else ()),
                *(sys.executable, "-m", "tidewire", command, "--set", "storage.directory=closed/state"),
            ],
            cwd=tmp_path,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        closed.chmod(0o700)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert [line.startswith("tidewire: ") for line in lines] == [True] * len(found)
    assert all(words in line for words, line in zip(found, lines, strict=True)), lines
