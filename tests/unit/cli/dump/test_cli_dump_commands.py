"""`tidewire import-dump` and `export-dump`: files and their names, and a stopped server's directory (C21)."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from support.dumps import dump, pair, read_all, stored_queue
from support.http_stub import Reply, StubServer, failure, success
from tidewire.cli.dump import running_server
from tidewire.cli.dump.dump_commands import export_dump_command, import_dump_command
from tidewire.cli.dump.dump_files import DumpFileError, dumps_at, last_path, write_file
from tidewire.cli.dump.running_server import DumpRefused
from tidewire.cli.dump.stopped_server import open_stopped
from tidewire.config import load
from tidewire.core.dump import split_dump
from tidewire.core.errors import StateError, StateInUse
from tidewire.core.transitions import decide
from tidewire.storage.directory import open_directory
from tidewire.storage.snapshots import snapshot_positions


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The tester's own settings don't count."""
    for name in ("TIDEWIRE_URL", "TIDEWIRE_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def run_import(*arguments: object) -> Result:
    return CliRunner().invoke(import_dump_command, [str(argument) for argument in arguments])


def run_export(*arguments: object) -> Result:
    return CliRunner().invoke(export_dump_command, [str(argument) for argument in arguments])


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Where a stopped server's state is, or will be."""
    return tmp_path / "state"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A dump of two queues."""
    path = tmp_path / "event_queues.json"
    path.write_bytes(dump(pair("a", stored_queue({"type": "deploy"})), pair("b")))
    return path


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


# Names.


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("event_queues.json", "event_queues.json.last"),
        ("event_queues.9800.json", "event_queues.9800.last.json"),
        ("other.json", "other.json.last"),
    ],
)
def test_the_last_dump_has_another_name_for_one_shard_than_for_several_r10_1(name: str, last: str) -> None:
    assert last_path(Path("d") / name) == Path("d") / last


def test_a_directory_has_the_dump_of_one_shard_or_those_of_three(tmp_path: Path) -> None:
    shards = [f"event_queues.{port}.json" for port in (9800, 9801, 9802)]
    for name in (*shards, "event_queues.9800.last.json", "event_queues.json.last", "event_queues.x.json"):
        (tmp_path / name).touch()
    assert [path.name for path in dumps_at(tmp_path)] == shards
    (tmp_path / "event_queues.json").touch()
    assert len(dumps_at(tmp_path)) == 4


def test_a_directory_whose_dumps_were_loaded_already_says_their_names(tmp_path: Path) -> None:
    for name in ("event_queues.9800.last.json", "event_queues.json.last"):
        (tmp_path / name).touch()
    with pytest.raises(
        DumpFileError, match=r"event_queues\.9800\.last\.json, event_queues\.json\.last of an earlier"
    ):
        dumps_at(tmp_path)


def test_a_directory_without_any_says_so(tmp_path: Path) -> None:
    with pytest.raises(DumpFileError, match=r"There is no event_queues\.json"):
        dumps_at(tmp_path)


# Files.


def test_a_file_is_private_and_replaces_the_one_before_r10_4(tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    path.write_text("old")
    assert write_file(path, [b"ab", b"c"]) == 3
    assert path.read_bytes() == b"abc"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names(tmp_path) == ["dump.json"]


def test_a_file_that_breaks_off_leaves_the_one_before_r10_4(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"ab"
        raise OSError(28, "No space left on device")

    path = tmp_path / "dump.json"
    path.write_text("old")
    with pytest.raises(DumpFileError, match="No space left"):
        write_file(path, broken())
    assert path.read_text() == "old"
    assert names(tmp_path) == ["dump.json"]


# A stopped server.


def test_a_dump_goes_into_a_new_directory_and_comes_out_again(state: Path, file: Path) -> None:
    done = run_import("--state-dir", state, file)
    assert (done.exit_code, done.output) == (0, f"{file}: imported 2 of 2 queues\n")
    assert file.exists()
    out = state.parent / "out.json"
    done = run_export("--state-dir", state, out)
    assert (done.exit_code, done.output) == (0, f"wrote {out.stat().st_size} bytes to {out}\n")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert [queue.queue_id for queue in read_all(out.read_bytes())] == ["a", "b"]


def test_an_export_goes_to_standard_output_and_changes_nothing(state: Path, file: Path) -> None:
    run_import("--state-dir", state, file)
    before = {path.name: path.read_bytes() for path in state.iterdir()}
    done = run_export("--state-dir", state)
    assert [queue_id for queue_id, _ in json.loads(done.stdout)] == ["a", "b"]
    assert {path.name: path.read_bytes() for path in state.iterdir()} == before


def test_importing_again_is_no_failure_and_changes_nothing(state: Path, file: Path) -> None:
    run_import("--state-dir", state, file)
    done = run_import("--state-dir", state, file)
    assert done.exit_code == 0
    assert done.stdout == f"{file}: imported 0 of 2 queues\n"
    assert done.stderr.splitlines() == [
        f"{file}: queue 0 (a) not imported: there is a queue of this id already",
        f"{file}: queue 1 (b) not imported: there is a queue of this id already",
    ]


def test_one_corrupt_descriptor_costs_that_queue_and_the_exit_code_r10_5(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "d.json"
    file.write_bytes(dump(pair("a"), pair("bad\x1b", realm_id=None), pair("b")))
    done = run_import("--state-dir", state, file)
    assert done.exit_code == 1
    assert done.stdout == f"{file}: imported 2 of 3 queues\n"
    assert done.stderr.startswith(f"{file}: queue 1 (bad\\x1b) not imported: Expected `int`")


def test_a_corrupt_file_changes_nothing_and_is_kept_r10_5(state: Path, tmp_path: Path, file: Path) -> None:
    (tmp_path / "event_queues.9800.json").write_text('[["q0", {')
    done = run_import("--state-dir", state, "--rename", tmp_path)
    assert isinstance(done.exception, DumpFileError)
    assert "event_queues.9800.json: This is no dump" in str(done.exception)
    assert not state.exists()
    assert file.exists()


def test_files_are_renamed_only_when_asked_r10_7(state: Path, tmp_path: Path) -> None:
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    for port in (9800, 9801, 9802):
        (dumps / f"event_queues.{port}.json").write_bytes(dump(pair(f"q{port}")))
    assert run_import("--state-dir", state, dumps).exit_code == 0
    assert names(dumps) == [f"event_queues.{port}.json" for port in (9800, 9801, 9802)]
    assert run_import("--state-dir", state, "--rename", dumps).exit_code == 0
    assert names(dumps) == [f"event_queues.{port}.last.json" for port in (9800, 9801, 9802)]
    assert len(read_all(run_export("--state-dir", state).stdout_bytes)) == 3


def test_no_import_is_lost_to_a_smaller_one_after_it(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot of an earlier position would count for less than the one that has only the first dump."""
    monkeypatch.setattr(decide, "IMPORT_EFFORT", 1)  # a record each
    first = dump(pair("a"), pair("b"), pair("c"))
    with open_stopped(load(file=None, environ={}, overrides=[f"storage.directory={state}"])) as stopped:
        stopped.take(split_dump(first))
        (before,) = snapshot_positions(names(state))
        stopped.take(split_dump(dump(pair("d"))))
        (after,) = snapshot_positions(names(state))
    assert after > before
    exported = read_all(run_export("--state-dir", state).stdout_bytes)
    assert [queue.queue_id for queue in exported] == ["a", "b", "c", "d"]


def test_a_directory_that_a_server_runs_on_is_refused(state: Path, file: Path) -> None:
    store = open_directory(state, durability="process")
    try:
        for done in (run_import("--state-dir", state, file), run_export("--state-dir", state)):
            assert isinstance(done.exception, StateInUse)
            assert "--url" in str(done.exception)
    finally:
        store.close()


def test_there_is_nothing_to_export_where_there_is_no_directory(state: Path) -> None:
    done = run_export("--state-dir", state)
    assert isinstance(done.exception, StateError)
    assert not state.exists()


@pytest.mark.parametrize("durability", ["none", "process", "power"])
def test_the_settings_of_the_stopped_server_count(state: Path, file: Path, durability: str) -> None:
    own = ("--set", f"storage.directory={state}", "--set", f"storage.durability={durability}")
    assert run_import(*own, file).exit_code == 0
    config = state.parent / "c.toml"
    config.write_text(f'[storage]\ndirectory = "{state}"\ndurability = "{durability}"\n')
    assert len(read_all(run_export("--config", config).stdout_bytes)) == 2


def test_a_server_is_running_or_stopped(state: Path, file: Path) -> None:
    done = run_import("--url", "http://127.0.0.1:1", "--state-dir", state, file)
    assert done.exit_code == 2
    assert "--url for a running server" in done.output
    assert run_import(file).exit_code == 2
    assert "No secret" in run_import(file).output


# A running server.


def test_a_large_dump_is_sent_in_several_requests_and_places_are_those_of_the_file(
    stub: StubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_server, "REQUEST_BYTES", 2 * len(json.dumps(pair("q0"))) + 10)
    path = tmp_path / "d.json"
    path.write_bytes(dump(*(pair(f"q{number}") for number in range(3))))
    skip = {"index": 0, "queue_id": "q2", "code": "BAD_QUEUE", "reason": "no"}
    stub.script(success(imported=2, skipped=[]), success(imported=0, skipped=[skip]))
    done = run_import("--url", stub.url, "--secret", "s", path)
    assert [[one[0] for one in msgspec.json.decode(asked.body)] for asked in stub.asked] == [
        ["q0", "q1"],
        ["q2"],
    ]
    assert {asked.path for asked in stub.asked} == {running_server.PATH}
    assert (done.exit_code, done.stdout) == (1, f"{path}: imported 2 of 3 queues\n")
    assert done.stderr == f"{path}: queue 2 (q2) not imported: no\n"


def test_a_server_that_refuses_says_why(stub: StubServer, file: Path) -> None:
    stub.script(failure(403, "BAD_REQUEST", "Access denied"))
    done = run_import("--url", stub.url, "--secret", "s", file)
    assert isinstance(done.exception, DumpRefused)
    assert str(done.exception) == "Access denied (BAD_REQUEST)"


def test_a_refused_export_writes_no_file(stub: StubServer, tmp_path: Path) -> None:
    stub.script(failure(403, "BAD_REQUEST", "Access denied"))
    done = run_export("--url", stub.url, "--secret", "s", tmp_path / "out.json")
    assert isinstance(done.exception, DumpRefused)
    assert names(tmp_path) == []


@pytest.mark.parametrize("answer", [b"<html>", b"", b'[["a", {', b"[]"])
def test_an_answer_that_is_no_whole_dump_is_none(stub: StubServer, tmp_path: Path, answer: bytes) -> None:
    stub.script(Reply(answer))
    done = run_export("--url", stub.url, "--secret", "s", tmp_path / "out.json")
    assert isinstance(done.exception, DumpRefused)
    assert names(tmp_path) == []


def test_the_end_of_an_export_may_come_in_two_pieces(
    stub: StubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = dump(pair("a")) + b"\n"
    monkeypatch.setattr(running_server, "PIECE", len(whole) - 1)
    stub.script(Reply(whole))
    out = tmp_path / "out.json"
    assert run_export("--url", stub.url, "--secret", "s", out).exit_code == 0
    assert out.read_bytes() == whole


@pytest.mark.parametrize("arguments", [("--secret", "a b"), ("--secret", "s", "--url", "nowhere")])
def test_what_can_t_be_used_is_named(file: Path, arguments: tuple[str, ...]) -> None:
    done = run_import(*arguments, file)
    assert done.exit_code == 2
    assert "Invalid value for --" in done.output


def test_the_limit_of_a_request_leaves_room_for_the_largest_queue() -> None:
    settings = load(file=None, environ={}, overrides=())
    assert settings.limits.dump_max_bytes > settings.queues.max_bytes
