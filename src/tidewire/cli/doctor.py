"""`tidewire doctor`: what is in a state directory, whether a start would get on with it, and what to do. It only reads."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click

from tidewire.cli.checkup import Checkup, Finding, check_up, is_state, shard_directories
from tidewire.cli.dump_group import finder
from tidewire.cli.errors import FAILED
from tidewire.cli.options import config_option, set_option
from tidewire.cli.settings import load_settings
from tidewire.config import Settings
from tidewire.config.rules import load_rules
from tidewire.config.shard_settings import shard_directory, shard_map_of
from tidewire.core.shard_map import ShardMap
from tidewire.escaping import escaped
from tidewire.storage.inspect import Seen
from tidewire.tuning import origin_of

UNITS = ("bytes", "KB", "MB", "GB", "TB")


@click.command("doctor")
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@config_option
@set_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def doctor_command(
    *, directory: Path | None, config: Path | None, settings: tuple[str, ...], as_json: bool
) -> None:
    """Check a state directory, of a running server or a stopped one; change nothing."""
    loaded = load_settings(config, list(settings))
    shard_map = shard_map_of(loaded)
    place = directory or _own(loaded, shard_map)
    try:
        is_directory = place.is_dir()
    except OSError as error:
        raise click.UsageError(f"{place} can't be reached: {error.strerror}") from None
    if not is_directory:
        raise click.UsageError(f"{place} is no directory: name the state directory, or --config")
    shards = [] if is_state(place) else shard_directories(place)
    found = [
        check_up(
            one,
            fingerprint=origin_of(loaded, load_rules(loaded.queues.rules)).fingerprint,
            needs=loaded.storage.snapshot_after_bytes,
            shard_of=None if shard_map is None else _ports(loaded, shard_map),
        )
        for one in shards or [place]
    ]
    if as_json:
        reports = [asdict(one) for one in found]
        click.echo(json.dumps({"shards": reports} if shards else reports[0]))
    else:
        click.echo("\n\n".join(map(escaped_lines, found)))
    if any(one.findings for one in found):
        sys.exit(FAILED)


def _own(settings: Settings, shard_map: ShardMap | None) -> Path:
    """Where the server keeps its state, or of several shards the one with `shards.index`."""
    directory = settings.storage.directory
    if shard_map is None:
        return directory
    return directory / shard_directory(shard_map.shards[settings.shards.index].port)


def _ports(settings: Settings, shard_map: ShardMap) -> Callable[[int, int], int]:
    shard_of = finder(settings, shard_map)
    return lambda user, realm: shard_map.shards[shard_of(user, realm)].port


def escaped_lines(found: Checkup) -> str:
    """The whole report, with nothing in it that a terminal would act on."""
    return "\n".join(escaped(line) for line in _lines(found))


def _lines(found: Checkup) -> list[str]:
    lines = [
        f"state directory  {found.directory}, {'in use by a server' if found.in_use else 'not in use'}",
        f"size             {size(found.bytes)}; {size(found.free)} are free on its disk",
    ]
    if found.reached is not None:
        lines.append(f"state            {found.queues:,} queues at position {found.position:,} (snapshot)")
        lines.append(f"                 {found.records:,} records after it, up to position {found.reached:,}")
    width = max((len(file.name) for file in found.files), default=0)
    lines += [_file(file, width) for file in found.files]
    if not found.findings:
        return [*lines, "nothing to do"]
    lines.append("to do")
    for number, finding in enumerate(found.findings, 1):
        lines += _finding(number, finding)
    return lines


def _file(file: Seen, width: int) -> str:
    what = {"draft": "unfinished", "damaged": "kept aside", "other": "not of the state"}.get(
        file.kind, file.kind
    )
    if file.kind == "segment" and file.first is not None and file.last is not None:
        what = f"records {file.first:,} to {file.last:,}" if file.last >= file.first else "no records"
    elif file.kind == "snapshot" and file.last is not None:
        what = f"state after record {file.first:,}"
    return f"  {file.name:{width}}  {size(file.bytes):>10}  {what}{'  DAMAGED' if file.problem else ''}"


def _finding(number: int, finding: Finding) -> list[str]:
    return [f"  {number}. {finding.found}", f"     {finding.advice}"]


def size(count: int) -> str:
    """A number of bytes for people."""
    amount, unit = float(count), 0
    while amount >= 1000 and unit < len(UNITS) - 1:  # noqa: PLR2004 - the step between two units
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.1f} {UNITS[unit]}" if unit else f"{count} bytes"
