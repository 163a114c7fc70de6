"""`tidewire loglevel`: what it asks, what it prints, and how it fails."""

import json

import pytest
from click.testing import CliRunner, Result

from support.http_stub import StubServer, failure, success
from tidewire.cli.inspect import LogLevelRefused, loglevel_command


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tester's own settings don't count."""
    for name in ("TIDEWIRE_URL", "TIDEWIRE_SECRET"):
        monkeypatch.delenv(name, raising=False)


def run(stub: StubServer, *arguments: str) -> Result:
    return CliRunner().invoke(loglevel_command, ["--url", stub.url, "--secret", "s", *arguments])


def test_without_a_level_it_says_what_it_is(stub: StubServer) -> None:
    stub.script(success(level="info", before="info"))
    result = run(stub)
    assert (result.exit_code, result.output) == (0, "info\n")
    assert (stub.asked[0].path, stub.asked[0].headers["Authorization"]) == (
        "/api/internal/loglevel",
        "Bearer s",
    )


def test_a_level_is_changed(stub: StubServer) -> None:
    stub.script(success(level="debug", before="info"))
    result = run(stub, "debug")
    assert (result.exit_code, result.output) == (0, "debug (before: info)\n")


def test_it_prints_json_when_asked(stub: StubServer) -> None:
    stub.script(success(level="debug", before="info"))
    assert json.loads(run(stub, "debug", "--json").output) == {"level": "debug", "before": "info"}


def test_a_level_that_there_is_not_is_wrong_usage(stub: StubServer) -> None:
    result = run(stub, "loud")
    assert result.exit_code == 2
    assert stub.asked == []


@pytest.mark.parametrize("reply", [failure(403, "BAD_REQUEST", "Access denied"), success()])
def test_an_answer_that_does_not_say_the_level_is_an_error(stub: StubServer, reply: object) -> None:
    stub.script(reply)  # type: ignore[arg-type]  # both are replies
    result = run(stub)
    assert result.exit_code != 0
    assert isinstance(result.exception, LogLevelRefused)


@pytest.mark.parametrize(
    "arguments",
    [["--secret", "s\n"], ["--secret", "s", "--url", "odd://x"], []],
    ids=["odd secret", "odd address", "no secret"],
)
def test_wrong_usage_is_said(arguments: list[str]) -> None:
    assert CliRunner().invoke(loglevel_command, arguments).exit_code == 2
