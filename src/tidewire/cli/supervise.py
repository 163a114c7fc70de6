"""`tidewire serve --shards N`: what each shard is started with, and the supervisor that runs them."""

import asyncio
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tidewire.config import ConfigError, Problem, Settings
from tidewire.config.shard_map import read_shard_map, write_toml
from tidewire.core.shard_map import ShardMap, even_map
from tidewire.listening import bind
from tidewire.logs import build_log
from tidewire.supervisor.lines import ShardLines
from tidewire.supervisor.process import NeverStarted, Patience, ShardProcess, this_python
from tidewire.supervisor.supervisor import Supervisor

MAP_NAME = "shards.toml"
"""The map of shards that are run without one: in the state directory."""


def supervise(settings: Settings, *, count: int, config: Path | None, overrides: Sequence[str]) -> None:
    """Runs so many shards of the map, from `shards.index` on, until SIGTERM or SIGINT.

    Raises:
        ConfigError: the map has not that many, or can't be used.
        SupervisorError: another supervisor runs there.
    """
    # Here is the supervisor's socket, whether or not the map is too.
    settings.storage.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    map_file, shard_map = _map_for(settings, count)
    first = settings.shards.index
    if first + count > len(shard_map.shards):
        expected = f"at most {len(shard_map.shards) - first}, the shards of {map_file} from index {first} on"
        raise ConfigError([Problem("--shards", "", expected, str(count))])
    given = [part for override in overrides for part in ("--set", override)]
    base = [*this_python(), "serve", *([] if config is None else ["--config", str(config)]), *given]
    commands = {
        shard_map.shards[index].port: [
            *base,
            "--set",
            f"shards.map_file={map_file}",
            "--set",
            f"shards.index={index}",
        ]
        for index in range(first, first + count)
    }
    try:
        asyncio.run(_run(settings, commands))
    except NeverStarted as error:
        raise ConfigError(
            [Problem("serve", "", "settings that a shard can start with", str(error))]
        ) from error


def _map_for(settings: Settings, count: int) -> tuple[Path, ShardMap]:
    """The map that is set, or one made here that spreads everybody evenly."""
    file = settings.shards.map_file
    if file is not None:
        return file, read_shard_map(file)
    file = settings.storage.directory / MAP_NAME
    made = even_map(range(settings.server.port, settings.server.port + count))
    if file.exists():
        there = read_shard_map(file)
        if there.shards == made.shards:
            return file, there
        made = even_map([shard.port for shard in made.shards], version=there.version + 1)
    draft = file.with_suffix(".draft")
    draft.write_text(write_toml(made))
    draft.replace(file)
    return file, made


async def _run(settings: Settings, commands: dict[int, list[str]]) -> None:
    log = build_log(form=settings.log.format, level=settings.log.level)
    shards = [
        ShardProcess(
            [*command, "--supervised", str(os.getpid())],
            port=port,
            lines=partial(ShardLines, port, structured=settings.log.format == "json"),
            bind=partial(bind, settings.server.host, port),
            output=_write,
            log=log,
            patience=Patience(),
        )
        for port, command in commands.items()
    ]
    await Supervisor(shards, directory=settings.storage.directory, log=log).run()


def _write(lines: bytes) -> None:
    sys.stderr.buffer.write(lines)
    sys.stderr.buffer.flush()
