"""`tidewire shards apply`: puts another map in force while traffic flows, and watches users move (D7)."""

import json
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from tidewire._http import Connection, TransportFailed, bearer, error_of
from tidewire._text import counted, escaped
from tidewire.cli.options import load_settings
from tidewire.config import ConfigError, Problem, Settings, shared_secret
from tidewire.config.shards import read_shard_map, write_toml
from tidewire.sharding.shard_map import ShardAddress, ShardMap, encode_map

ANSWER_WITHIN = 30.0
LOOK_EVERY = 0.2
"""Seconds between looks at how far it is."""

OK = 200


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard, as it is asked."""

    address: ShardAddress
    connection: Connection

    def ask(self, path: str = "", body: bytes | None = None) -> dict[str, Any]:
        """The answer of one of its routes below `/api/internal/shards`.

        Raises:
            click.ClickException: it does not answer, or refuses.
        """
        where = f"shard {self.address.host}:{self.address.port}"
        try:
            answer = self.connection.request(
                "GET" if body is None else "POST",
                f"/api/internal/shards{path}",
                timeout=ANSWER_WITHIN,
                body=body,
                content_type="" if body is None else "application/json",
            )
        except TransportFailed as error:
            raise click.ClickException(f"{where} does not answer: {error}") from None
        if answer.status != OK or answer.json is None:
            code, sentence, _ = error_of(answer)
            raise click.ClickException(escaped(f"{where} says: {sentence} ({code})"))
        return answer.json


@dataclass(slots=True)
class RelocationProgress:
    """What has become of it so far."""

    began: float
    moves: list[dict[str, int]] = field(default_factory=list)
    longest: float = 0.0

    @property
    def users(self) -> int:
        """How many users there are to move."""
        return sum(move["users"] for move in self.moves)

    def figures(self, version: int) -> dict[str, Any]:
        """All of it, for programs."""
        return {
            "version": version,
            "moved": self.users,
            "queues": sum(move["queues"] for move in self.moves),
            "seconds": round(time.monotonic() - self.began, 3),
            "longest_hold_ms": self.longest,
            "moves": self.moves,
        }


@click.command("apply")
@click.argument("file", metavar="NEWMAP", type=click.Path(path_type=Path))
@click.option("--config", type=click.Path(path_type=Path), help="Settings file [tidewire.toml, if there].")
@click.option("--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", help="Any setting.")
@click.option("--dry-run", is_flag=True, help="Only say how many users would move.")
@click.option(
    "--within",
    type=click.FloatRange(0, min_open=True),
    default=600.0,
    show_default=True,
    help="Seconds to watch.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
def apply_command(
    *,
    file: Path,
    config: Path | None,
    settings: tuple[str, ...],
    dry_run: bool,
    within: float,
    as_json: bool,
) -> None:
    """Put the shard map NEWMAP in force while traffic flows; users move along with their queues."""
    loaded = load_settings(config, list(settings))
    older, newer = maps(loaded, file)
    shards = shards_of(loaded, older, newer)
    progress = RelocationProgress(time.monotonic())
    check(shards, newer)
    progress.moves = plan(shards, older, newer)
    if not dry_run:
        tell(shards, older, newer)
        watch(shards, newer, progress, within=within, quiet=as_json)
        put_in_place(loaded, file, newer)
    if as_json:
        click.echo(json.dumps(progress.figures(newer.version)))
        return
    for move in progress.moves:
        done = "would move" if dry_run else "moved"
        click.echo(
            f"{move['from']} -> {move['to']}: {counted(move['users'], 'user')} with {counted(move['queues'], 'queue')} {done}"
        )
    if not dry_run:
        click.echo(
            f"version {newer.version} is in force: {counted(progress.users, 'user')} moved in "
            f"{time.monotonic() - progress.began:.1f} s, each held for {progress.longest:.0f} ms at most"
        )


def maps(loaded: Settings, file: Path) -> tuple[ShardMap, ShardMap]:
    """The map that the settings name, and the one that is to take its place.

    Raises:
        ConfigError: one is wrong, or the other is not newer.
    """
    if loaded.shards.map_file is None:
        raise ConfigError([Problem("settings", "shards.map_file", "the file of a shard map", "none")])
    older, newer = read_shard_map(loaded.shards.map_file), read_shard_map(file)
    if newer.version <= older.version and newer != older:
        expected = f"a version above {older.version}, that of {loaded.shards.map_file}"
        raise ConfigError([Problem(str(file), "version", expected, str(newer.version))])
    common = min(len(older.shards), len(newer.shards))
    if older.shards[:common] != newer.shards[:common]:
        expected = f"the shards of {loaded.shards.map_file} first, with port and host, as far as they stay"
        raise ConfigError([Problem(str(file), "shard", expected, "others")])
    return older, newer


def shards_of(loaded: Settings, older: ShardMap, newer: ShardMap) -> dict[int, Shard]:
    """All shards of both maps, by port; new ones come first, so that they know before anybody asks them."""
    secret = shared_secret(
        secret=loaded.server.secret,
        secret_file=loaded.server.secret_file,
        directory=loaded.storage.directory,
    )
    new = [address for address in newer.shards if address not in older.shards]
    return {
        address.port: Shard(
            address, Connection(f"http://{_host(address)}:{address.port}", headers=bearer(secret))
        )
        for address in [*new, *older.shards]
    }


def _host(address: ShardAddress) -> str:
    return f"[{address.host}]" if ":" in address.host else address.host


def check(shards: dict[int, Shard], newer: ShardMap) -> None:
    """Sees that all can take part, before anything is begun.

    Raises:
        click.ClickException: one can't.
    """
    for port, shard in shards.items():
        try:
            said = shard.ask()
        except click.ClickException as error:
            raise click.ClickException(f"{error.message}; nothing was begun") from None
        if said["version"] > newer.version:
            raise click.ClickException(
                f"shard {port} lives under version {said['version']} of the map already; nothing was begun"
            )
        if said["before"] is not None and said["version"] != newer.version:
            raise click.ClickException(
                f"the hand-over to version {said['version']} is not over on shard {port}; "
                "wait for it, or run `shards apply` with that map"
            )


def plan(shards: dict[int, Shard], older: ShardMap, newer: ShardMap) -> list[dict[str, int]]:
    """How many users would move from where to where."""
    body = b'{"after":%b}' % encode_map(newer)
    return [
        {"from": address.port, **move}
        for address in older.shards
        for move in shards[address.port].ask("/plan", body)["moves"]
    ]


def tell(shards: dict[int, Shard], older: ShardMap, newer: ShardMap) -> None:
    """Has all shards live under the newer map.

    Raises:
        click.ClickException: one refuses; those before it wait for the others until it is told.
    """
    before = b"" if older == newer else b',"before":%b' % encode_map(older)
    for shard in shards.values():
        shard.ask("/map", b'{"after":%b%b}' % (encode_map(newer), before))


def watch(
    shards: dict[int, Shard], newer: ShardMap, progress: RelocationProgress, *, within: float, quiet: bool
) -> None:
    """Returns when all users are where they belong.

    Raises:
        click.ClickException: it took too long; the shards go on.
    """
    deadline = time.monotonic() + within
    shown = ""
    while True:
        said = list(_asked(shards.values()))
        progress.longest = max([progress.longest, *(one["longest_hold_ms"] for one in said)])
        if len(said) == len(shards) and all(
            one["version"] >= newer.version and one["before"] is None for one in said
        ):
            return
        line = _progress(said, len(shards))
        if not quiet and line != shown:
            click.echo(line, err=True)
            shown = line
        if time.monotonic() > deadline:
            raise click.ClickException(
                f"not over after {within:g} s: {line}; the shards go on, and the same command watches them"
            )
        time.sleep(LOOK_EVERY)


def _asked(shards: Iterable[Shard]) -> Iterable[dict[str, Any]]:
    """What the shards say; one that is just restarting says nothing."""
    for shard in shards:
        try:
            yield shard.ask()
        except click.ClickException:
            continue


def _progress(said: list[dict[str, Any]], count: int) -> str:
    left = sum(one["left"] for one in said)
    open_ = [str(one["port"]) for one in said if one["closed"] < one["version"]]
    silent = f"; {count - len(said)} shards do not answer" if len(said) < count else ""
    if open_:
        return f"{counted(left, 'user')} to move, shards that have not finished: {', '.join(open_)}{silent}"
    return f"all users moved, shards finish{silent}"


def put_in_place(loaded: Settings, file: Path, newer: ShardMap) -> None:
    """Has the file of the settings hold the newer map."""
    place = loaded.shards.map_file
    if place is None or read_shard_map(place) == newer:
        return
    if place.suffix == file.suffix:
        content = file.read_text()
    elif place.suffix == ".toml":
        content = write_toml(newer)
    else:
        click.echo(f"put the new map in the place of {place}: it is of another form", err=sys.stderr.isatty())
        return
    draft = place.with_name(f".{place.name}.draft")
    draft.write_text(content)
    draft.replace(place)
