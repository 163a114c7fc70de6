"""Reading a shard map from its file, and writing one; what the forms say is in `core/shard_map_file.py`."""

import json
from pathlib import Path
from typing import Any

from tidewire.config.problems import ConfigError, Problem
from tidewire.core.shard_map import ShardMap
from tidewire.core.shard_map_draft import BadShardMap
from tidewire.core.shard_map_file import form_of, map_of_text


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
