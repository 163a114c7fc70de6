"""`tidewire serve`: one shard in the foreground."""

import os
from pathlib import Path

import click

from tidewire.cli.options import config_option, set_option
from tidewire.config import Settings, load
from tidewire.logs import build_log
from tidewire.server import run

DEFAULT_FILE = Path("tidewire.toml")
"""Read when it is there and no other is named."""


def load_settings(config: Path | None, overrides: list[str]) -> Settings:
    """The settings from file, environment and flags.

    Raises:
        ConfigError: something is wrong with them.
    """
    file = config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    return load(file=file, environ=os.environ, overrides=overrides)


@click.command("serve")
@config_option
@click.option("--host", help="Address to listen on [127.0.0.1].")
@click.option("--port", type=int, help="Port to listen on [9800].")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Where the state is kept [state].")
@click.option("--bus", metavar="URL", help="Where notices come from: memory:, or amqp://... [memory:].")
@click.option("--shards", type=click.IntRange(1), default=1, help="How many shards to run [1].")
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
) -> None:
    """Serve one shard until SIGTERM or Ctrl-C."""
    if shards != 1:
        raise click.UsageError("this version runs one shard: leave out --shards, or start several servers")
    given = {
        "server.host": host,
        "server.port": port,
        "storage.directory": None if state_dir is None else state_dir.absolute(),
        "bus.url": bus,
        "queues.rules": rules,
    }
    overrides = [*settings, *(f"{key}={value}" for key, value in given.items() if value is not None)]
    loaded = load_settings(config, overrides)
    run(loaded, log=build_log(form=loaded.log.format, level=loaded.log.level))
