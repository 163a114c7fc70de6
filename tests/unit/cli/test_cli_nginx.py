"""`tidewire nginx`: the options that change what is printed."""

from pathlib import Path

from click.testing import CliRunner, Result

from tidewire.cli.main import main

SHARD = "[[shard]]\nport = {}\n"


def printed(folder: Path, newer: str) -> Result:
    """What it prints with the first of two maps in force, and the other one coming."""
    for name, text in (("map.toml", SHARD.format(9800)), ("newer.toml", newer)):
        (folder / name).write_text(text)
    given = f"shards.map_file={folder / 'map.toml'}"
    return CliRunner().invoke(main, ["nginx", "--set", given, "--also", str(folder / "newer.toml")])


def test_shards_that_come_next_can_be_redirected_to_and_nobody_is_sent_there(tmp_path: Path) -> None:
    both = f"version = 2\ndefault = [9800, 9801]\n{SHARD.format(9800)}{SHARD.format(9801)}"
    done = printed(tmp_path, both)
    assert done.exit_code == 0, done.output
    assert "location /internal/tornado/9801/ {" in done.output
    assert "location @tidewire_9801 {" in done.output
    assert "default tidewire_9800;" in done.output
    assert "tidewire_9800_9801" not in done.output


def test_a_map_of_other_shards_is_refused(tmp_path: Path) -> None:
    done = printed(tmp_path, f"version = 2\n{SHARD.format(9900)}")
    assert done.exit_code != 0
