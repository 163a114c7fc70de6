"""`tidewire import-dump` and `export-dump` with a shard map: each queue is its user's shard's."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from support.dumps import dump, pair
from support.server_process import users_file
from tidewire.cli.main import main

MAP = "default = [9800, 9801]\n[[shard]]\nport = 9800\n[[shard]]\nport = 9801\n"

PAIRS = [pair(f"queue-{user}", user_profile_id=user) for user in (1, 2, 3, 4)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "map.toml").write_text(MAP)
    (tmp_path / "dump.json").write_bytes(dump(*PAIRS))
    return tmp_path


def run(command: str, *arguments: str, config: bool = True) -> Result:
    settings = ("--set", "shards.map_file=map.toml") if config else ()
    return CliRunner().invoke(main, [command, *settings, *arguments], prog_name="tidewire")


def queues(text: str) -> set[str]:
    return {queue_id for queue_id, _ in json.loads(text)}


def of_one(port: int) -> set[str]:
    return queues(run("export-dump", "--state-dir", f"state/shard-{port}", config=False).stdout)


@pytest.mark.usefixtures("folder")
def test_each_queue_goes_to_its_user_s_shard_and_an_export_has_all() -> None:
    imported = run("import-dump", "dump.json")
    assert (imported.exit_code, imported.stdout) == (0, "dump.json: imported 4 of 4 queues\n")
    assert of_one(9800) == {"queue-2", "queue-4"}
    assert of_one(9801) == {"queue-1", "queue-3"}
    exported = run("export-dump")
    assert (exported.exit_code, exported.stderr) == (0, "")
    assert queues(exported.stdout) == {"queue-1", "queue-2", "queue-3", "queue-4"}
    again = run("import-dump", "dump.json")
    assert (again.exit_code, again.stdout) == (0, "dump.json: imported 0 of 4 queues\n")


def test_realms_with_shards_of_their_own_are_told_apart_by_the_users_file(folder: Path) -> None:
    (folder / "users.toml").write_text(users_file("ada"))
    (folder / "map.toml").write_text(MAP + '[[realm]]\nhost = "test.example"\nports = [9801]\n')
    assert run("import-dump", "dump.json").exit_code == 0
    assert of_one(9801) == {"queue-1", "queue-2", "queue-3", "queue-4"}


def test_a_shard_that_is_not_here_is_named_and_the_others_queues_are_imported(folder: Path) -> None:
    (folder / "state" / "shard-9801").mkdir(parents=True)
    broken = json.dumps(["broken", {}])
    (folder / "dump.json").write_bytes(dump(*PAIRS)[:-1] + f", {broken}]".encode())
    imported = run("import-dump", "dump.json")
    assert imported.exit_code == 1
    assert "imported 2 of 5 queues" in imported.stdout
    wrong = "not imported: its user is the shard's on port 9800, whose directory is not here"
    assert f"dump.json: queue 1 (queue-2) {wrong}" in imported.stderr
    assert f"dump.json: queue 3 (queue-4) {wrong}" in imported.stderr
    assert "dump.json: queue 4 (broken) not imported" in imported.stderr
    exported = run("export-dump")
    assert queues(exported.stdout) == {"queue-1", "queue-3"}
    assert "without those of the shard on port 9800, whose directories are not here" in exported.stderr


def test_an_export_without_any_directory_is_an_error(folder: Path) -> None:
    (folder / "state").mkdir()
    exported = run("export-dump")
    assert (exported.exit_code, exported.stdout) == (1, "")
    assert "There are no state directories of shards" in exported.stderr
