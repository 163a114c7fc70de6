"""`tidewire check-config`: every problem in a line with its file, key and what would be right; and what it leaves alone."""

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from support.server_process import free_port, users_file
from tidewire.cli.main import main

NOT_LOOPBACK = "192.0.2.1"  # for examples only, so no machine has it


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a right configuration, which is also the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "users.toml").write_text(users_file("ada", "bob"))
    (tmp_path / "tidewire.toml").write_text(f"[server]\nport = {free_port()}\n")
    return tmp_path


def check(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["check-config", *arguments], prog_name="tidewire")


def test_a_right_configuration_is_summed_up_and_nothing_is_made(folder: Path) -> None:
    before = sorted(folder.iterdir())
    result = check()
    assert (result.exit_code, result.stderr) == (0, "")
    for words in ("settings ", "2 users, 2 of them active", "to be made at the start", "127.0.0.1:"):
        assert words in result.stdout
    assert sorted(folder.iterdir()) == before


def test_a_named_file_is_read_and_must_be_there(folder: Path) -> None:
    (folder / "other.toml").write_text("[server]\nport = 0\n")
    for name, words in (("other.toml", "server.port"), ("absent.toml", "absent.toml")):
        result = check("--config", name)
        assert (result.exit_code, result.stdout) == (2, "")
        assert words in result.stderr


def test_every_problem_of_the_settings_has_its_line(folder: Path) -> None:
    (folder / "tidewire.toml").write_text('[server]\nport = "x"\n[log]\nlevel = "loud"\n[odd]\na = 1\n')
    result = check("--set", "queues.idle_timeout=-1")
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    for key, expected in (
        ("server.port", "a whole number from 1 to 65535"),
        ("log.level", '"debug" or'),
        ("odd", "[server]"),
        ("queues.idle_timeout", "a whole number"),
    ):
        assert [line for line in lines if key in line and "expected" in line and expected in line], key
    assert [line for line in lines if "tidewire.toml" in line]


def test_what_the_settings_lead_to_is_checked_altogether(folder: Path) -> None:
    """One run is enough: users file, secret file, directory and address."""
    (folder / "users.toml").write_text("[[user]]\nid = 0\n")
    (folder / "secret").write_text("s")
    (folder / "secret").chmod(0o644)
    (folder / "file").write_text("")
    result = check(
        "--set", "server.secret_file=secret", "--set", "storage.directory=file/state", "--set", f"server.host={NOT_LOOPBACK}"
    )  # fmt: skip
    assert (result.exit_code, result.stdout) == (2, "")
    for words in (
        "users.toml: [[user]] number 1: id",
        "server.secret_file: found mode 0644; expected a file that only its owner can use",
        "storage.directory: found",
        f"server.host: found {NOT_LOOPBACK}",
    ):
        assert words in result.stderr
    assert all(line.startswith("tidewire: ") for line in result.stderr.splitlines())


def test_a_taken_port_is_told_of_and_no_problem(folder: Path) -> None:
    """The configuration of a server is checked while it runs, before it is restarted."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = check("--set", f"server.port={taken.getsockname()[1]}")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "in use" in result.stdout
    assert folder.exists()


def test_a_shard_map_is_checked(folder: Path) -> None:
    (folder / "map.toml").write_text("[[shard]]\nport = 9800\n[[shard]]\nport = 9801\n")
    given = ("--set", "shards.map_file=map.toml", "--set", "server.port=9800")
    result = check(*given, "--set", "shards.index=1")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "version 1, 2 shards, this one 127.0.0.1:9801" in result.stdout
    result = check(*given, "--set", "shards.index=2")
    assert result.exit_code == 2
    assert "from 0 to 1" in result.stderr


def test_a_secret_is_never_shown(folder: Path) -> None:
    (folder / "kept").write_text("planted-secret\n")
    (folder / "kept").chmod(0o600)
    for setting in ("server.secret=planted-secret", "server.secret_file=kept"):
        result = check("--set", setting)
        assert result.exit_code == 0
        assert "planted-secret" not in result.output


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_state_directory_that_others_can_write_is_a_problem(folder: Path, mode: int) -> None:
    state = folder / "state"
    state.mkdir()
    state.chmod(mode)
    result = check("--set", f"storage.directory={state}")
    assert result.exit_code == 2
    assert f"chmod 700 {state}" in result.stderr
    assert f"mode {mode:04o}" in result.stderr


def test_one_that_others_can_read_is_told_of_and_no_problem(folder: Path) -> None:
    state = folder / "state"
    state.mkdir()
    state.chmod(0o755)
    result = check("--set", f"storage.directory={state}")
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"chmod 700 {state}" in result.stdout
