"""`tidewire serve`: one shard in the foreground, or several under a supervisor."""

from pathlib import Path

import click

from tidewire.app import load_bus, read_users_of
from tidewire.cli.options import config_option, set_option
from tidewire.cli.settings import load_settings
from tidewire.cli.supervise import supervise
from tidewire.config.rules import load_rules
from tidewire.config.shard_settings import of_one_shard
from tidewire.log_control import LogControl
from tidewire.logs import build_log
from tidewire.server import run
from tidewire.supervisor.lifeline import await_turn, end_with, say_so


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
        on_ready=None if socket is None else lambda _: say_so(),
        on_let_go=None if socket is None else say_so,
        users=users,
        log_control=control,
        socket=socket,
    )
