"""The settings of a sharded server: its map's file, and what each shard has for itself."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from tidewire.config.checks import ConfigError, Problem
from tidewire.config.secrets import shared_secret
from tidewire.config.settings import Settings
from tidewire.config.table import BY_NAME
from tidewire.sharding.map_file import BadShardMap, form_of, map_of_text
from tidewire.sharding.shard_map import ShardMap


def read_shard_map(file: Path) -> ShardMap:
    """Reads a map.

    Raises:
        ConfigError: the file can't be read or is wrong; with every problem that was found.
    """
    source = str(file)
    try:
        text = file.read_bytes().decode()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError([Problem(source, "", "a shard map that can be read", reason)]) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem(source, "", "text in UTF-8", "other bytes")]) from None
    return parse_shard_map(text, source=source, form=form_of(file.name))


def parse_shard_map(text: str, *, source: str, form: str) -> ShardMap:
    """Makes a map of a file's content, as `map_of_text` does.

    Raises:
        ConfigError: it is wrong.
    """
    try:
        return map_of_text(text, form=form)
    except BadShardMap as error:
        raise ConfigError(Problem(source, *problem) for problem in error.problems) from None


def write_toml(shard_map: ShardMap) -> str:
    """A map as TOML that reads back as the same."""

    def ports(shards: tuple[int, ...]) -> str:
        return f"[{', '.join(str(shard_map.shards[shard].port) for shard in shards)}]"

    lines = [f"version = {shard_map.version}", f"default = {ports(shard_map.default)}"]
    for shard in shard_map.shards:
        lines += ["", "[[shard]]", f"port = {shard.port}", f"host = {json.dumps(shard.host)}"]
    for host, shards in shard_map.hosts.items():
        lines += ["", "[[realm]]", f"host = {json.dumps(host)}", f"ports = {ports(shards)}"]
    for entry in shard_map.patterns:
        lines += [
            "",
            "[[realm]]",
            f"pattern = {json.dumps(entry.pattern)}",
            f"ports = {ports(entry.shards)}",
        ]
    return "\n".join(lines) + "\n"


def as_application_map(shard_map: ShardMap) -> dict[str, Any]:
    """The map as applications of the older system read it (R9.3); `default` and hosts of shards have no place there."""

    def ports(shards: tuple[int, ...]) -> int | list[int]:
        named = [shard_map.shards[shard].port for shard in shards]
        return named[0] if len(named) == 1 else named

    if len(shard_map.shards) == 1:
        return {}
    return {
        "shard_map": {host: ports(shards) for host, shards in shard_map.hosts.items()},
        "shard_regexes": [[entry.pattern, ports(entry.shards)] for entry in shard_map.patterns],
    }


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
