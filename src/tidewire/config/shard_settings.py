"""The settings of one shard of several: its own port and directory, and the secret that all of them share."""

from dataclasses import replace

from tidewire.config.problems import ConfigError, Problem
from tidewire.config.records import Settings
from tidewire.config.secret import shared_secret
from tidewire.config.shard_map import read_shard_map
from tidewire.config.table import BY_NAME
from tidewire.core.shard_map import ShardMap


def shard_map_of(settings: Settings) -> ShardMap | None:
    """The map that the settings name, checked against them; None when they name none.

    Raises:
        ConfigError: the map can't be used, or this shard is not in it.
    """
    file = settings.shards.map_file
    if file is None:
        return None
    shard_map = read_shard_map(file)
    if settings.shards.index >= len(shard_map.shards):
        expected = f"the index of a shard in {file}, from 0 to {len(shard_map.shards) - 1}"
        raise ConfigError([Problem("settings", "shards.index", expected, str(settings.shards.index))])
    first, own = (shard_map.shards[index].port for index in (0, settings.shards.index))
    if settings.server.port not in {BY_NAME["server.port"].default, first, own}:
        expected = f"{first}, the port of the first shard in {file}"
        raise ConfigError([Problem("settings", "server.port", expected, str(settings.server.port))])
    if settings.bus.queue and len(shard_map.shards) > 1:
        expected = f"none: with several shards each has a queue of its own, such as {shard_map.queue_name(0)}"
        raise ConfigError([Problem("settings", "bus.queue", expected, settings.bus.queue)])
    return shard_map


def shard_directory(port: int) -> str:
    """The name of a shard's directory below the one that is set."""
    return f"shard-{port}"


def of_one_shard(settings: Settings) -> Settings:
    """The settings as the shard with `shards.index` uses them; without a map they stay as they are.

    With a map a shard listens on its port there and keeps its state in `shard-<port>` below the directory that is
    set. The secret is that directory's, because shards ask each other.

    Raises:
        ConfigError: the map or the secret can't be used.
    """
    shard_map = shard_map_of(settings)
    if shard_map is None:
        return settings
    port = shard_map.shards[settings.shards.index].port
    secret = shared_secret(
        secret=settings.server.secret,
        secret_file=settings.server.secret_file,
        directory=settings.storage.directory,
    )
    return replace(
        settings,
        server=replace(settings.server, port=port, secret=secret),
        storage=replace(settings.storage, directory=settings.storage.directory / shard_directory(port)),
    )
