"""`tidewire publish`: what is sent, what is reported, and the exit code."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from support.http_stub import StubServer, failure, success
from tidewire.cli import publish as publish_module
from tidewire.cli.publish import publish_command
from tidewire.publisher import PublishFailed


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tester's own settings don't count."""
    for name in ("TIDEWIRE_URL", "TIDEWIRE_SECRET", "TRACEPARENT"):
        monkeypatch.delenv(name, raising=False)


def notice_lines(*ids: str) -> str:
    return "".join(json.dumps({"id": name, "event": {"type": "t"}, "users": [1]}) + "\n" for name in ids)


def run(stub: StubServer, text: str | bytes = "", *arguments: str) -> Result:
    return CliRunner().invoke(publish_command, ["--url", stub.url, "--secret", "s", *arguments], input=text)


def sent_ids(stub: StubServer) -> list[list[str]]:
    return [[notice["id"] for notice in asked.notices] for asked in stub.asked]


def test_notices_from_standard_input_are_confirmed(stub: StubServer) -> None:
    stub.script(success(accepted=2))
    result = run(stub, notice_lines("a", "b"))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "confirmed 2 of 2 notices\n", "")
    assert sent_ids(stub) == [["a", "b"]]


def test_notices_from_a_file_are_confirmed(stub: StubServer, tmp_path: Path) -> None:
    stub.script(success(accepted=1))
    file = tmp_path / "notices.ndjson"
    file.write_text("\ufeff" + notice_lines("grüße"), "utf-8")
    result = run(stub, "", str(file))
    assert (result.exit_code, result.stdout) == (0, "confirmed 1 of 1 notices\n")
    assert sent_ids(stub) == [["grüße"]]


def test_url_and_secret_may_come_from_the_environment(stub: StubServer) -> None:
    stub.script(success(accepted=1))
    environment = {"TIDEWIRE_URL": stub.url, "TIDEWIRE_SECRET": "from-env"}
    assert CliRunner().invoke(publish_command, [], input=notice_lines("a"), env=environment).exit_code == 0
    assert stub.asked[0].headers["Authorization"] == "Bearer from-env"


def test_notices_keep_their_trace_and_those_without_get_the_one_that_is_given(stub: StubServer) -> None:
    lines = notice_lines("a") + '{"event": {"type": "t"}, "users": [1], "traceparent": "own"}\n'
    stub.script(success(accepted=2), success(accepted=2))
    assert run(stub, lines, "--traceparent", "given").exit_code == 0
    environment = {"TIDEWIRE_URL": stub.url, "TIDEWIRE_SECRET": "s", "TRACEPARENT": "outer"}
    assert CliRunner().invoke(publish_command, [], input=lines, env=environment).exit_code == 0
    traces = [[notice["traceparent"] for notice in asked.notices] for asked in stub.asked]
    assert traces == [["given", "own"], ["outer", "own"]]


def test_nothing_to_send_is_no_failure(stub: StubServer) -> None:
    result = run(stub, "\n \n")
    assert (result.exit_code, result.stdout) == (0, "confirmed 0 of 0 notices\n")
    assert stub.asked == []


def test_a_refused_notice_is_reported_with_its_line_and_the_others_are_sent(stub: StubServer) -> None:
    """One bad notice refuses its whole request, so the rest of the batch goes again without it."""
    stub.script(
        failure(400, "INVALID_NOTICE", "`users` is missing", index=1),
        failure(409, "NOTICE_ID_REUSED", "Other content", index=2),
        success(accepted=2),
    )
    result = run(stub, "\n" + notice_lines("a", "b", "c", "d"))
    assert result.exit_code == 1
    assert result.stdout == "confirmed 2 of 4 notices\n"
    assert result.stderr.splitlines() == [
        "line 3: `users` is missing (INVALID_NOTICE)",
        "line 5: Other content (NOTICE_ID_REUSED)",
    ]
    assert sent_ids(stub) == [["a", "b", "c", "d"], ["a", "c", "d"], ["a", "c"]]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b'  {"id":', "not JSON: Expecting value at column 9"),
        (b"[1]", "a notice is a JSON object"),
        (b"\xff{}", "not UTF-8"),
        (b'{"id": NaN}', "NaN is not JSON"),
        (b'{"a":' * 50_000, "nested too deeply"),
        (b'{"id": "b", "event": "\\ud800"}', "The notice has no JSON form"),
        (b'{"id": "b", "event": 1e999}', "The notice has no JSON form"),
    ],
)
def test_a_line_that_is_no_notice_is_refused_here_with_its_number(
    stub: StubServer, line: bytes, sentence: str
) -> None:
    stub.script(success(accepted=2))
    result = run(stub, notice_lines("a").encode() + line + b"\n" + notice_lines("c").encode())
    assert result.exit_code == 1
    assert result.stdout == "confirmed 2 of 3 notices\n"
    assert result.stderr.startswith(f"line 2: {sentence}")
    assert "(INVALID_NOTICE)" in result.stderr
    assert sent_ids(stub) == [["a", "c"]]


def test_what_the_server_says_can_not_move_the_cursor(stub: StubServer) -> None:
    stub.script(failure(400, "INVALID_NOTICE", "a\x1b[2Jb\nc", index=0))
    assert run(stub, notice_lines("a")).stderr == "line 1: a\\x1b[2Jb\\nc (INVALID_NOTICE)\n"


def test_a_batch_that_is_too_large_is_halved_until_one_notice_is_to_blame(stub: StubServer) -> None:
    too_large = failure(413, "PAYLOAD_TOO_LARGE", "Too large")
    stub.script(too_large, success(accepted=1), too_large, too_large, success(accepted=1))
    result = run(stub, notice_lines("a", "b", "c"))
    assert (result.exit_code, result.stdout) == (1, "confirmed 2 of 3 notices\n")
    assert result.stderr == "line 2: Too large (PAYLOAD_TOO_LARGE)\n"
    assert sent_ids(stub) == [["a", "b", "c"], ["a"], ["b", "c"], ["b"], ["c"]]


def test_a_refusal_of_everything_ends_the_command_after_saying_what_was_confirmed(stub: StubServer) -> None:
    """The command group turns the error into one line and exit code 1."""
    stub.script(success(accepted=500), failure(403, "BAD_REQUEST", "Access denied"))
    result = run(stub, notice_lines(*[str(number) for number in range(600)]))
    assert isinstance(result.exception, PublishFailed)
    assert result.exit_code == 1
    assert result.stdout == "confirmed 500 of 600 notices\n"


def test_a_missing_secret_is_wrong_usage_and_says_what_to_do(stub: StubServer) -> None:
    result = CliRunner().invoke(publish_command, ["--url", stub.url], input="")
    assert result.exit_code == 2
    assert "TIDEWIRE_SECRET" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["--url", "nowhere", "--secret", "s"], "--url"),
        (["--secret", "geheim wort"], "--secret"),
        (["--secret", "s", "no-such-file"], "FILE"),
    ],
)
def test_unusable_arguments_are_wrong_usage(arguments: list[str], option: str) -> None:
    result = CliRunner().invoke(publish_command, arguments, input="")
    assert result.exit_code == 2
    assert option in result.stderr
    assert "geheim" not in result.output


def test_an_endless_input_is_confirmed_as_it_comes(stub: StubServer) -> None:
    """`tail -f file | tidewire publish -`: the second line is only written when the first has arrived."""
    stub.script(success(accepted=1), success(accepted=1))
    command = [sys.executable, "-c", "from tidewire.cli.publish import publish_command; publish_command()"]
    with subprocess.Popen(  # noqa: S603  # our own code
        [*command, "--url", stub.url, "--secret", "s", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        for count, name in enumerate(("a", "b"), start=1):
            process.stdin.write(notice_lines(name).encode())
            process.stdin.flush()
            assert stub.wait_for(count)
        output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, b"confirmed 2 of 2 notices\n")


class Terminal(io.StringIO):
    """A screen."""

    def isatty(self) -> bool:
        """A screen is a terminal."""
        return True


def test_progress_shows_the_share_of_a_file_on_a_terminal_only(tmp_path: Path) -> None:
    path = tmp_path / "notices"
    path.write_bytes(b"x" * 200)
    with path.open("rb") as file:
        screen: Any = Terminal()
        progress = publish_module._Progress(file, screen)
        progress.show(100, 7, 1)
        progress.clear()
        assert "50%  confirmed 7, refused 1" in screen.getvalue()
        paper = io.StringIO()
        publish_module._Progress(file, paper).show(100, 7, 1)
        assert not paper.getvalue()


def test_progress_of_a_pipe_shows_counts_alone() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        screen = Terminal()
        publish_module._Progress(file, screen).show(100, 7, 0)
    assert screen.getvalue() == "\r\x1b[Kconfirmed 7, refused 0"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--shard-map", "none.toml", "--bus", "amqp://h/"], "none.toml can't be used: it can't be read"),
        (["--shard-map", "none.toml"], "shard_map goes with amqp://"),
        (["--shard-map", "none.toml", "--queue", "q", "--bus", "amqp://h/"], "not both"),
        (["--realm-host", "a.example", "--bus", "amqp://h/"], "not of the form ID=HOST"),
        (["--realm-host", "1=a.example", "--bus", "amqp://h/"], "realm_hosts goes with shard_map"),
    ],
)
def test_what_does_not_go_with_a_shard_map_is_said(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(publish_command, ["--secret", "s", *arguments], input="")
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
