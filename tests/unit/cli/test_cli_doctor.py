"""`tidewire doctor`: each finding with what to do, for a stopped directory and a running one, and nothing changed."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from support.core_rig import KeepingSlot, SetClock, spec
from support.events import notice
from support.stores import begin, numbered
from tidewire.app.from_settings import origin_of
from tidewire.cli.main import main
from tidewire.config import load
from tidewire.core.errors import StateError
from tidewire.core.ids import QueueId
from tidewire.core.notices.notice import decode_notice
from tidewire.core.shard import Shard
from tidewire.engine.engine import Engine, PollWaiter
from tidewire.replay.strict_reporter import RaisingReporter
from tidewire.storage.directory import DirectoryStore, open_directory

OURS = origin_of(load(file=None, environ={}, overrides=[]), {}).fingerprint
"""The fingerprint of the default settings."""


class Lived:
    """A directory that a server has used for a while."""

    def __init__(self, directory: Path, *, fingerprint: str = OURS) -> None:
        self.directory = directory
        self.store: DirectoryStore = open_directory(directory, durability="process")
        self.store.recover()
        shard: Shard[PollWaiter] = Shard()
        self.engine = Engine(
            shard=shard,
            journal=begin(self.store, fingerprint),
            clock=SetClock(),
            reporter=RaisingReporter(),
            new_queue_id=lambda: f"queue {shard.queues()}",
            chance=lambda: 0.5,
            call_soon=lambda _: None,
        )
        self.engine.register(spec(), KeepingSlot[QueueId]())

    def publish(self, count: int = 3) -> None:
        """Some records."""
        for number in range(count):
            self.engine.publish([decode_notice(notice({"type": "t", "number": number}))], KeepingSlot[int]())

    def segment(self) -> Path:
        """The newest segment."""
        return max(self.directory.glob("segment-*"))


@pytest.fixture
def crashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lived:
    """A directory with one snapshot, and three records after it, in use no more."""
    monkeypatch.chdir(tmp_path)
    lived = Lived(tmp_path / "state")
    lived.engine.begin_snapshot()
    lived.publish()
    lived.store.close()
    return lived


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *arguments], prog_name="tidewire")


def doctor(directory: Path, *arguments: str) -> dict[str, Any]:
    """The report, which says the same as the exit code, and has changed nothing."""
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in directory.iterdir()}
    result = ask(str(directory), "--json", *arguments)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in directory.iterdir()} == before
    report: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (1 if report["findings"] else 0), result.output
    return report


def checks(report: dict[str, Any]) -> list[str]:
    return [finding["check"] for finding in report["findings"]]


def test_a_directory_in_order_says_what_it_holds_and_that_nothing_is_to_be_done(crashed: Lived) -> None:
    result = ask(str(crashed.directory))
    assert (result.exit_code, result.stderr) == (0, "")
    for words in (
        "not in use",
        "1 queue at position 1 (snapshot)",
        "3 records after it, up to position 4",
        "records 2 to 4",
        "state after record 1",
        "nothing to do",
    ):
        assert words in result.stdout
    assert doctor(crashed.directory)["findings"] == []


def test_without_a_name_it_is_the_configured_directory(crashed: Lived) -> None:
    result = ask("--set", f"storage.directory={crashed.directory}")
    assert (result.exit_code, str(crashed.directory) in result.stdout) == (0, True)


def test_a_directory_that_a_server_uses_is_read_all_the_same(tmp_path: Path) -> None:
    lived = Lived(tmp_path / "state")
    lived.publish()
    with lived.segment().open("ab") as file:
        file.write(b"\x90\x01half a record that is just being written")
    report = doctor(lived.directory)
    assert (report["in_use"], report["records"], report["findings"]) == (True, 4, [])
    lived.publish()
    lived.store.close()


def test_queues_that_the_map_gives_to_another_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "state").mkdir(mode=0o700)
    lived = Lived(tmp_path / "state" / "shard-9801")
    lived.engine.register(spec(user=2), KeepingSlot[QueueId]())
    lived.engine.begin_snapshot()
    lived.store.close()
    (tmp_path / "map.toml").write_text(
        "default = [9800, 9801]\n[[shard]]\nport = 9800\n[[shard]]\nport = 9801\n"
    )
    settings = ("--set", "shards.map_file=map.toml", "--set", "shards.index=1")
    (finding,) = doctor(lived.directory, *settings)["findings"]
    assert finding["check"] == "other-shards"
    assert finding["found"].startswith(
        "1 queues are of users whom the shard map gives to the shard on port 9800"
    )
    assert ask(*settings).exit_code == 1
    (tmp_path / "map.toml").write_text("default = [9801]\n[[shard]]\nport = 9800\n[[shard]]\nport = 9801\n")
    assert ask(*settings).exit_code == 0


def test_a_torn_end_and_what_it_costs(crashed: Lived) -> None:
    segment = crashed.segment()
    segment.write_bytes(segment.read_bytes()[:-5])
    report = doctor(crashed.directory)
    assert checks(report) == ["damaged"]
    assert segment.name in report["findings"][0]["found"]
    assert (report["records"], report["reached"]) == (2, 3)
    text = ask(str(crashed.directory))
    assert text.exit_code == 1
    assert "DAMAGED" in text.stdout
    assert "1. " in text.stdout


def test_segments_behind_a_gap(crashed: Lived) -> None:
    crashed.store = open_directory(crashed.directory, durability="process")
    crashed.store.recover()
    journal = begin(crashed.store, OURS)
    journal.append(numbered(5))
    crashed.store.close()
    min(crashed.directory.glob("segment-*")).unlink()
    assert checks(doctor(crashed.directory)) == ["lost"]


def test_a_damaged_snapshot_that_nothing_can_replace(crashed: Lived) -> None:
    (snapshot,) = crashed.directory.glob("snapshot-*")
    snapshot.write_bytes(snapshot.read_bytes()[:30])
    report = doctor(crashed.directory)
    assert set(checks(report)) == {"refused", "damaged"}
    assert report["position"] is None


def test_a_directory_of_a_newer_version(crashed: Lived) -> None:
    (crashed.directory / "version").write_text("tidewire state 99\n")
    report = doctor(crashed.directory)
    assert checks(report) == ["refused"]
    assert "newer version" in report["findings"][0]["found"]


def test_a_record_that_this_version_does_not_know(tmp_path: Path) -> None:
    lived = Lived(tmp_path / "state")
    lived.engine._gate._journal.append(["a record", "of the future"])  # type: ignore[arg-type] # what is tested
    lived.store.close()
    report = doctor(lived.directory)
    assert checks(report) == ["refused"]
    assert "can't read" in report["findings"][0]["found"]


def test_records_of_other_rules_and_of_other_settings(tmp_path: Path) -> None:
    lived = Lived(tmp_path / "state", fingerprint="other rules")
    lived.publish()
    lived.store.close()
    report = doctor(lived.directory)
    assert checks(report) == ["fingerprint"]
    assert report["findings"][0]["found"].startswith("4 records")


def test_records_of_other_settings_are_no_finding(crashed: Lived) -> None:
    assert checks(doctor(crashed.directory, "--set", "queues.max_events=100")) == []


@pytest.mark.parametrize("holding", [(), ("notes.txt", "photos")])
def test_a_directory_that_is_none_of_ours_is_said_to_be_none_and_nothing_else(
    tmp_path: Path, holding: tuple[str, ...]
) -> None:
    place = tmp_path / "home"
    place.mkdir(mode=0o755)
    for name in holding:
        (place / name).write_text("x")
    report = doctor(place)
    assert checks(report) == ["no-state"]
    assert not any(word in report["findings"][0]["advice"] for word in ("chmod", "move"))


def test_the_directory_of_several_shards_is_checked_shard_by_shard(tmp_path: Path) -> None:
    for port in (9801, 9802):
        (tmp_path / "state").mkdir(mode=0o700, exist_ok=True)
        lived = Lived(tmp_path / "state" / f"shard-{port}")
        lived.publish()
        lived.store.close()
    result = ask(str(tmp_path / "state"))
    assert result.exit_code == 0, result.output
    assert "shard-9801" in result.stdout
    assert "shard-9802" in result.stdout
    with lived.segment().open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"?")
    result = ask(str(tmp_path / "state"), "--json")
    assert result.exit_code == 1
    reports = json.loads(result.stdout)["shards"]
    assert [checks(report) for report in reports] == [[], ["damaged", "lost"]]


def test_a_disk_with_too_little_room(crashed: Lived) -> None:
    report = doctor(crashed.directory, "--set", f"storage.snapshot_after_bytes={10**18}")
    assert checks(report) == ["space"]


def test_what_others_may_read(crashed: Lived) -> None:
    crashed.directory.chmod(0o755)
    crashed.segment().chmod(0o640)
    report = doctor(crashed.directory)
    assert checks(report) == ["permissions", "permissions"]
    assert crashed.segment().name in report["findings"][1]["found"]


def test_a_directory_that_others_can_write_would_be_refused(crashed: Lived) -> None:
    crashed.directory.chmod(0o777)
    report = doctor(crashed.directory)
    assert checks(report) == ["permissions"]
    assert "a start would be refused" in report["findings"][0]["found"]
    assert f"chmod 700 {crashed.directory}" in report["findings"][0]["advice"]
    with pytest.raises(StateError, match="chmod 700"):
        open_directory(crashed.directory, durability="process")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_secret_of_somebody_else_would_be_refused(crashed: Lived) -> None:
    secret = crashed.directory / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    os.chown(secret, 12345, -1)
    report = doctor(crashed.directory)
    assert checks(report) == ["permissions"]
    assert "12345" in report["findings"][0]["found"]


def test_files_that_were_kept_aside_and_files_of_others(crashed: Lived) -> None:
    for name in ("segment-00000001.damaged-1", "notes.txt", "secret"):
        (crashed.directory / name).write_text("x")
        (crashed.directory / name).chmod(0o600)
    report = doctor(crashed.directory)
    assert checks(report) == ["kept-aside", "other-files"]
    assert "notes.txt" in report["findings"][1]["found"]
    assert "secret" not in report["findings"][1]["found"]


def test_what_is_no_directory_is_wrong_usage(tmp_path: Path) -> None:
    result = ask(str(tmp_path / "absent"))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"tidewire: {tmp_path / 'absent'} is no directory")
