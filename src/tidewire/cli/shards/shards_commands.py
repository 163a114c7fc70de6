"""`tidewire shards`: shows a shard map, checks one before it is used, and puts it in force."""

import http.client
import json
from collections.abc import Mapping
from pathlib import Path

import click

from tidewire._text import counted, escaped
from tidewire.cli.options import load_settings
from tidewire.cli.shards.apply_map import Shard, apply_command, shards_of
from tidewire.config import ConfigError, Problem, Settings
from tidewire.config.shards import as_application_map, read_shard_map, shard_map_of, write_toml
from tidewire.sharding.shard_map import ShardAddress, ShardMap

LOOK_FOR = 2.0
"""Seconds until a shard counts as not answering."""


@click.group("shards")
def shards_command() -> None:
    """Show, check and change shards."""


shards_command.add_command(apply_command)


@shards_command.command("show")
@click.option("--config", type=click.Path(path_type=Path), help="Settings file [tidewire.toml, if there].")
@click.option("--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", help="Any setting.")
@click.option("--user", type=click.IntRange(0), help="Say which shard has the user with this id.")
@click.option("--realm", metavar="HOST", help="Say which shards the realm has.")
@click.option("--live", is_flag=True, help="Ask each shard whether it is ready.")
@click.option(
    "--form",
    type=click.Choice(["text", "toml", "json"]),
    default="text",
    help="json: the map as applications of the older system read it [text].",
)
def show_command(
    *,
    config: Path | None,
    settings: tuple[str, ...],
    user: int | None,
    realm: str | None,
    live: bool,
    form: str,
) -> None:
    """Show the shard map that the settings name."""
    loaded = load_settings(config, list(settings))
    shard_map = shard_map_of(loaded)
    if shard_map is None:
        raise ConfigError([Problem("settings", "shards.map_file", "the file of a shard map", "none")])
    if user is not None:
        address = shard_map.address(shard_map.shard_of(user, realm))
        click.echo(f"{address.host}:{address.port}")
    elif realm is not None:
        click.echo(" ".join(str(shard_map.address(shard).port) for shard in shard_map.shards_of_realm(realm)))
    elif form == "text":
        states = states_of(loaded, shard_map) if live else {}
        for line in text_of(shard_map, states):
            click.echo(escaped(line))
    else:
        click.echo(
            write_toml(shard_map) if form == "toml" else json.dumps(as_application_map(shard_map)),
            nl=form == "json",
        )


@shards_command.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--config", type=click.Path(path_type=Path), help="Settings file [tidewire.toml, if there].")
@click.option("--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", help="Any setting.")
def check_command(file: Path, config: Path | None, settings: tuple[str, ...]) -> None:
    """Check the shard map in FILE, and say what it would change."""
    newer = read_shard_map(file)
    click.echo(f"{file}: version {newer.version}, {counted(len(newer.shards), 'shard')}, right")
    older = shard_map_of(load_settings(config, list(settings)))
    if older is not None and older != newer:
        for line in changes(older, newer):
            click.echo(escaped(line))


def states_of(loaded: Settings, shard_map: ShardMap) -> dict[ShardAddress, str]:
    """What each shard says of itself."""
    shards = shards_of(loaded, shard_map, shard_map)
    return {
        address: f"{readiness(address)}{_hand_over(shards[address.port])}" for address in shard_map.shards
    }


def _hand_over(shard: Shard) -> str:
    try:
        said = shard.ask()
    except click.ClickException:
        return ""
    stuck = said.get("waits")
    held = "" if stuck is None else f", held up for {stuck['seconds']:.0f} s: {stuck['reason']}"
    text = f", version {said['version']}, {counted(said['users'], 'user')} with {counted(said['queues'], 'queue')}"
    if said["before"] is None:
        return text + held
    waits = f", waits for {', '.join(map(str, said['awaited']))}" if said["awaited"] else ""
    return f"{text}, hand-over from version {said['before']}: {counted(said['left'], 'user')} to move{waits}{held}"


def text_of(shard_map: ShardMap, states: Mapping[ShardAddress, str]) -> list[str]:
    """The map for people, with what shards say of themselves, if they were asked."""
    lines = [f"version {shard_map.version}"]
    for index, address in enumerate(shard_map.shards):
        state = f"  {states[address]}" if address in states else ""
        lines.append(
            f"shard {index}  {address.host}:{address.port}  bus queue {shard_map.queue_name(index)}{state}"
        )
    lines += [f"realm {host}  {_ports(shard_map, shards)}" for host, shards in shard_map.hosts.items()]
    lines += [
        f"realms like {entry.pattern}  {_ports(shard_map, entry.shards)}" for entry in shard_map.patterns
    ]
    return [*lines, f"all other realms  {_ports(shard_map, shard_map.default)}"]


def changes(older: ShardMap, newer: ShardMap) -> list[str]:
    """What becomes of whom when one map takes the place of another."""
    lines = []
    if newer.version <= older.version:
        lines.append(f"its version must be above {older.version}, or shards that run refuse it")
    hosts = dict.fromkeys([*older.hosts, *newer.hosts])
    for host in hosts:
        before, after = (_ports(shard_map, shard_map.shards_of_realm(host)) for shard_map in (older, newer))
        if before != after:
            lines.append(f"realm {host}: {before} -> {after}")
    before, after = (_ports(shard_map, shard_map.default) for shard_map in (older, newer))
    if before != after:
        lines.append(f"all other realms: {before} -> {after}")
    if older.patterns != newer.patterns:
        lines.append("the patterns differ")
    lines += [
        f"shard {address.host}:{address.port} is new"
        for address in newer.shards
        if address not in older.shards
    ]
    lines += [
        f"shard {address.host}:{address.port} goes" for address in older.shards if address not in newer.shards
    ]
    return lines


def readiness(address: ShardAddress) -> str:
    """What a shard says of itself."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=LOOK_FOR)
    try:
        connection.request("GET", "/health/ready")
        with connection.getresponse() as response:
            return "ready" if response.status == http.client.OK else "not ready"
    except (OSError, http.client.HTTPException):
        return "does not answer"
    finally:
        connection.close()


def _ports(shard_map: ShardMap, shards: tuple[int, ...]) -> str:
    return ", ".join(str(shard_map.address(shard).port) for shard in shards)
