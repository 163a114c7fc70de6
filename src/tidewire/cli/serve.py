"""`tidewire serve`: one shard in the foreground, or several under a supervisor."""

import asyncio
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from tidewire.app.build import load_bus, read_users_of
from tidewire.cli.options import config_option, load_settings, set_option
from tidewire.config import ConfigError, Problem, Settings
from tidewire.config.plugins import load_rules
from tidewire.config.shards import of_one_shard, read_shard_map, write_toml
from tidewire.http.server.listener import bind
from tidewire.observability.log import build_log
from tidewire.observability.log_level import LogControl
from tidewire.server.server import Embedding, run
from tidewire.sharding.shard_map import ShardMap, even_map
from tidewire.supervisor.child import await_turn, end_with, say_so
from tidewire.supervisor.shard_process import (
    NeverStarted,
    RestartTimeouts,
    ShardLines,
    ShardProcess,
    this_python,
)
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
            timeouts=RestartTimeouts(),
        )
        for port, command in commands.items()
    ]
    await Supervisor(shards, directory=settings.storage.directory, log=log).run()


def _write(lines: bytes) -> None:
    sys.stderr.buffer.write(lines)
    sys.stderr.buffer.flush()


@click.command("serve")
@config_option
@click.option("--host", help="Address to listen on [127.0.0.1].")
@click.option("--port", type=int, help="Port to listen on [9800].")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Where the state is kept [state].")
@click.option("--bus", metavar="URL", help="Where notices come from: memory:, or amqp://... [memory:].")
@click.option("--shards", type=click.IntRange(1), default=1, help="How many shards to run [1].")
@click.option("--supervised", type=int, metavar="PID", help="Stop when this parent process ends.")
@click.option("--socket", type=int, metavar="FD", help="With --supervised: the socket to listen on.")
@click.option("--rules", metavar="MODULE:NAME", help="The application's own merge rules [none].")
@set_option
def serve_command(
    *,
    config: Path | None,
    host: str | None,
    port: int | None,
    state_dir: Path | None,
    bus: str | None,
    shards: int,
    rules: str | None,
    settings: tuple[str, ...],
    supervised: int | None,
    socket: int | None,
) -> None:
    """Serve one shard, or several, until SIGTERM or Ctrl-C."""
    if supervised is not None:
        end_with(supervised)
    given = {
        "server.host": host,
        "server.port": port,
        "storage.directory": None if state_dir is None else state_dir.absolute(),
        "bus.url": bus,
        "queues.rules": rules,
    }
    overrides = [*settings, *(f"{key}={value}" for key, value in given.items() if value is not None)]
    loaded = load_settings(config, overrides)
    if shards > 1:
        supervise(loaded, count=shards, config=config, overrides=overrides)
        return
    loaded = of_one_shard(loaded)
    users = None
    if socket is not None:
        # What takes time, and what is wrong with the settings, is to be found while the one before still runs.
        load_rules(loaded.queues.rules)
        load_bus(loaded)
        users = read_users_of(loaded)
        if not await_turn():
            return
        # It may have been a while, and the one before may have written a file.
        loaded = of_one_shard(load_settings(config, overrides))
    control = LogControl(loaded.log.level)
    run(
        loaded,
        log=build_log(form=loaded.log.format, level=control),
        embedding=Embedding(users=users, log_control=control),
        socket=socket,
        on_ready=None if socket is None else lambda _: say_so(),
        on_let_go=None if socket is None else say_so,
    )
