"""How every command fails: one line that says what to do, an exit code, and a traceback only with `--debug`."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from support.server_process import clean_environment, free_port, users_file
from tidewire import TidewireError, __version__
from tidewire.cli.errors import OneLineGroup
from tidewire.cli.main import main
from tidewire.config import ConfigError

COMMANDS = ("serve", "demo", "check-config", "publish", "tail", "replay")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of the tester's, and none of the folder the tests are started in."""
    monkeypatch.chdir(tmp_path)
    for name in ("TIDEWIRE_URL", "TIDEWIRE_SECRET", "TIDEWIRE_EMAIL", "TIDEWIRE_KEY"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str, command: click.Command = main) -> Result:
    return CliRunner().invoke(command, arguments, prog_name="tidewire")


def assert_one_line(result: Result, code: int, *words: str) -> None:
    assert result.exit_code == code, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("tidewire: ")
    for word in words:
        assert word in line


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", [(), *[(name,) for name in COMMANDS]])
def test_help_is_everywhere(command: tuple[str, ...], option: str) -> None:
    result = run(*command, option)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"Usage: {' '.join(('tidewire', *command))} ")


def test_no_command_shows_the_help_as_wrong_usage() -> None:
    result = run()
    assert result.exit_code == 2
    assert result.output.startswith("Usage: tidewire ")
    assert "until stopped." in result.output


def test_the_version_is_said() -> None:
    result = run("--version")
    assert (result.exit_code, result.output) == (0, f"tidewire {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bogus"], ["No such command 'bogus'", "(see tidewire --help)"]),
        (["--bogus"], ["No such option '--bogus'", "(see tidewire --help)"]),
        (["serve", "--bogus"], ["No such option '--bogus'", "(see tidewire serve --help)"]),
        (["serve", "extra"], ["extra", "(see tidewire serve --help)"]),
        (["serve", "--port", "x"], ["--port", "'x'"]),
        (["serve", "--port"], ["--port", "argument"]),
        (["serve", "--shards", "0"], ["--shards"]),
        (["demo", "--port", "x"], ["--port", "(see tidewire demo --help)"]),
        (["tail"], ["--email", "(see tidewire tail --help)"]),
        (["publish"], ["--secret", "(see tidewire publish --help)"]),
        (["replay"], ["FILE", "(see tidewire replay --help)"]),
        (["replay", "--over", "amqp", "x"], ["--over", "engine"]),
    ],
)
def test_wrong_usage_is_code_2_and_says_where_to_look(arguments: list[str], words: list[str]) -> None:
    assert_one_line(run(*arguments), 2, *words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serve", "--set", "server.port"], ["--set", "section.key=value"]),
        (["serve", "--set", "server.prot=1"], ["server.prot", "server.port (did you mean that?)"]),
        (["serve", "--set", "server.port=x"], ["server.port", "a whole number from 1 to 65535"]),
        (["serve", "--port", "70000"], ["server.port", "70000"]),
        (["serve", "--config", "none.toml"], ["none.toml", "no such file"]),
        (["replay", "--set", "queues.heartbeat_min=x", "f"], ["queues.heartbeat_min"]),
        (["demo", "--port", "0"], ["server.port"]),
    ],
)
def test_a_wrong_configuration_is_code_2_and_names_the_setting(
    arguments: list[str], words: list[str]
) -> None:
    assert_one_line(run(*arguments), 2, *words)


def test_a_configuration_file_in_the_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "tidewire.toml").write_text("[server]\nport = 'x'\n")
    assert_one_line(run("serve"), 2, "tidewire.toml", "server.port")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serve"], ["users.toml", "no such file", "auth.users_file"]),
        (["serve", "--host", ".."], ["..", "no address to listen on"]),
        (["serve", "--host", "x" * 300], ["no address to listen on"]),
        (["serve", "--host", "nowhere.invalid"], ["nowhere.invalid", "no address to listen on"]),
        (["serve", "--state-dir", "/dev/null/state"], ["/dev/null/state", "state directory"]),
        (["replay", "none.json"], ["none.json can't be read"]),
        (["replay", "."], [". can't be read"]),
    ],
)
def test_what_fails_is_code_1_and_says_what_to_do(arguments: list[str], words: list[str]) -> None:
    assert_one_line(run(*arguments), 1, *words)


def test_a_broken_users_file_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "users.toml").write_text("[[user]]\nid = 1\n")
    result = run("serve")
    assert result.exit_code == 1
    assert "Traceback" not in result.stderr
    assert "[[user]] number 1" in result.stderr


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_a_port_in_use_is_said_and_nothing_is_left_behind(tmp_path: Path, command: str) -> None:
    (tmp_path / "users.toml").write_text(users_file("ada"))
    with socket.socket() as taken:
        port = free_port()
        taken.bind(("127.0.0.1", port))
        taken.listen()
        result = run(command, "--port", str(port), "--state-dir", str(tmp_path / "state"))
    assert_one_line(result, 1, f"can't listen on 127.0.0.1:{port}", "--port")
    assert not (tmp_path / "state").exists()


def test_debug_shows_the_traceback_and_the_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["tidewire", "--debug", "replay", "none.json"])
    with pytest.raises(SystemExit) as ended:
        main()
    lines = capfd.readouterr().err.splitlines()
    assert ended.value.code == 1
    assert lines[0].startswith("Traceback")
    assert lines[-1].startswith("tidewire: none.json can't be read")


@pytest.mark.slow
def test_the_module_runs_as_the_command_does() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tidewire", "--debug", "replay", "none.json"],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Traceback")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (TidewireError("a sentence"), 1, "tidewire: a sentence"),
        (ConfigError([]), 2, "tidewire: "),
        (click.UsageError("a sentence"), 2, "tidewire: a sentence"),
        (click.ClickException("a sentence"), 1, "tidewire: a sentence"),
    ],
)
def test_each_kind_of_error_has_its_code(error: Exception, code: int, line: str) -> None:
    @click.group(cls=OneLineGroup)
    def group() -> None:
        """A group."""

    @group.command()
    def failing() -> None:
        """Fails."""
        raise error

    result = run("failing", command=group)
    assert (result.exit_code, result.stderr.partition(" (see")[0].rstrip("\n")) == (code, line)


def test_being_interrupted_is_code_1_without_a_word() -> None:
    @click.group(cls=OneLineGroup)
    def group() -> None:
        """A group."""

    @group.command()
    def interrupted() -> None:
        """Is interrupted."""
        raise KeyboardInterrupt

    result = run("interrupted", command=group)
    assert (result.exit_code, result.stderr.strip()) == (1, "")


def test_sigterm_ends_a_command_as_an_interrupt_does() -> None:
    tidied: list[bool] = []

    @click.group(cls=OneLineGroup)
    def group() -> None:
        """A group."""

    @group.command()
    def stopped() -> None:
        """Is stopped."""
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            tidied.append(True)

    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        result = run("stopped", command=group)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (result.exit_code, result.stderr.strip(), tidied) == (1, "", [True])
