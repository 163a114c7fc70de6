"""`tidewire tail`: what is printed where, and how it ends."""

import json
import signal
import subprocess
import sys
from typing import Any

import pytest
from click.testing import CliRunner, Result

from support.http_stub import Reply, StubServer, failure, success
from tidewire._text import escaped
from tidewire.cli.output import cut, outline
from tidewire.cli.tail import tail_command
from tidewire.client import RequestRefused

REGISTERED = success(queue_id="q1", last_event_id=-1)
ACCOUNT = ("--email", "ada@demo.example", "--key", "a" * 32)


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tester's own settings don't count."""
    for name in ("TIDEWIRE_URL", "TIDEWIRE_EMAIL", "TIDEWIRE_KEY"):
        monkeypatch.delenv(name, raising=False)


def run(stub: StubServer, *arguments: str) -> Result:
    """Runs the command until the script's end makes it fail."""
    return CliRunner().invoke(tail_command, ["--url", stub.url, *ACCOUNT, *arguments])


def test_json_is_one_object_a_line(stub: StubServer) -> None:
    events: list[dict[str, Any]] = [{"id": 0, "type": "t", "text": "a\nb 👋"}, {"id": 1, "type": "u"}]
    stub.script(REGISTERED, success(events=events))
    result = run(stub, "--json")
    assert [json.loads(line) for line in result.stdout.splitlines()] == events
    assert isinstance(result.exception, RequestRefused)  # the script has ended


def test_a_line_has_time_id_type_op_and_the_rest(stub: StubServer) -> None:
    event = {"type": "reaction", "op": "add", "emoji": "👋", "message_id": 5, "id": 12}
    stub.script(REGISTERED, success(events=[event]))
    time, _, rest = run(stub).stdout.partition(" ")
    assert len(time) == len("12:34:56")
    assert rest == '12 reaction add emoji="👋" message_id=5\n'


def test_what_to_hear_is_registered(stub: StubServer) -> None:
    stub.script(REGISTERED)
    run(stub, "--event-types", "message, reaction,", "--narrow", "channel:a:b", "--narrow", "is:dm")
    assert stub.asked[0].form == {
        "event_types": '["message", "reaction"]',
        "narrow": '[["channel", "a:b"], ["is", "dm"]]',
    }


def test_a_queue_that_is_gone_is_told_with_its_reason(stub: StubServer) -> None:
    """On standard error, so that standard output stays events alone."""
    lost = failure(400, "BAD_EVENT_QUEUE_ID", "Bad event queue ID: q1", queue_id="q1", reason="ex\x1bpired")
    stub.script(REGISTERED, success(events=[{"id": 4, "type": "t"}]), lost)
    stub.script(success(queue_id="q2", last_event_id=-1), success(events=[{"id": 0, "type": "u"}]))
    result = run(stub)
    assert len(result.stdout.splitlines()) == 2
    assert result.stderr == (
        "queue q1 is gone (ex\\x1bpired): registered q2 in its place; events after 4 may be missing\n"
    )


def test_a_server_that_can_not_be_reached_is_told_once_a_try(
    stub: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidewire.client.event_follower.FIRST_DELAY", 0.0)
    monkeypatch.setattr("tidewire.client.event_follower.LONGEST_DELAY", 0.0)
    stub.script(REGISTERED, failure(503, "SERVICE_UNAVAILABLE", "Stopping"))
    assert "Stopping (SERVICE_UNAVAILABLE, HTTP 503); trying again in 0.0 s" in run(stub).stderr


@pytest.mark.parametrize(
    "arguments",
    [["--narrow", "nothing"], ["--narrow", ":x"], ["--url", "nowhere"]],
)
def test_unusable_arguments_are_wrong_usage(stub: StubServer, arguments: list[str]) -> None:
    result = run(stub, *arguments)
    assert result.exit_code == 2
    assert arguments[0] in result.stderr


def test_the_account_is_required() -> None:
    assert CliRunner().invoke(tail_command, []).exit_code == 2


def started(stub: StubServer) -> "subprocess.Popen[bytes]":
    code = "from tidewire.cli.tail import tail_command; tail_command()"
    command = [sys.executable, "-c", code, "--url", stub.url, *ACCOUNT, "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: S603  # our own code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_and_deletes_the_queue(stub: StubServer, number: int) -> None:
    """Events are flushed at once, so the first is read while the command still waits for the second."""
    stub.script(REGISTERED, success(events=[{"id": 0, "type": "t"}]), Reply(hang=True))
    with started(stub) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == {"id": 0, "type": "t"}
        assert stub.wait_for(3)
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (0, b"", b"")
    assert stub.deleted == ["q1"]


def test_a_reader_that_goes_away_ends_it_quietly(stub: StubServer) -> None:
    """`tidewire tail ... | head -1`."""
    first, second = success(events=[{"id": 0, "type": "t"}]), success(events=[{"id": 1, "type": "t"}])
    stub.script(REGISTERED, first)
    stub.hold_from(3)
    stub.script(second)
    with started(stub) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        stub.release()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0
    assert stub.deleted == ["q1"]


def test_an_outline_cuts_long_values_and_shows_a_message_by_its_content() -> None:
    message = {"id": 9, "sender_full_name": "Ada", "subject": "x", "content": "y" * 100, "avatar_url": None}
    line = outline({"type": "message", "id": 3, "message": message, "flags": ["read"]})
    assert line.startswith('3 message id=9 sender_full_name="Ada" subject="x" content="yyy')
    assert "avatar" not in line
    assert line.endswith('y… flags=["read"]')


def test_an_outline_is_one_line_whatever_the_event_holds() -> None:
    line = outline({"type": "a\nb", "id": 1, "k\u202e": "\x9b\x7f", "operation": "add"})
    assert line == '1 a\\nb add k\\u202e="\\x9b\\x7f"'


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("漢字漢", 6, "漢字漢"),
        ("漢字漢字", 6, "漢字…"),
        ("e\u0301a", 2, "e\u0301a"),
    ],
)
def test_text_is_cut_by_columns(text: str, columns: int, shown: str) -> None:
    assert cut(text, columns) == shown


def test_text_without_control_characters_stays_as_it_is() -> None:
    assert escaped("Grüße 漢字 👋") == "Grüße 漢字 👋"
