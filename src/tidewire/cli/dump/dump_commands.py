"""`tidewire import-dump` and `export-dump`: queues from another server, and for another."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import click
import msgspec
from click.core import ParameterSource

from tidewire._text import counted, escaped
from tidewire.cli.dump.dump_files import DumpFileError, dumps_at, read_file, retire, write_file
from tidewire.cli.dump.running_server import DumpServer, Imported
from tidewire.cli.dump.stopped_server import Stopped, open_group, open_stopped
from tidewire.cli.errors import FAILED
from tidewire.cli.options import URL, load_settings, required
from tidewire.config.shards import shard_map_of
from tidewire.core.dump import split_dump
from tidewire.core.errors import BadRequest, StateError


class _Place(Protocol):
    """Where queues are imported to and exported from."""

    def take(self, pairs: Sequence[msgspec.Raw]) -> Imported:
        """Imports queues."""

    def pieces(self) -> Iterator[bytes]:
        """The dump of all queues."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Where:
    """What the options say of the server."""

    url: str | None
    secret: str | None
    state_dir: Path | None
    config: Path | None
    settings: tuple[str, ...]


_OPTIONS = (
    click.option("--url", envvar="TIDEWIRE_URL", help=f"The running server [{URL}]."),
    click.option("--secret", envvar="TIDEWIRE_SECRET", help="Its secret [env: TIDEWIRE_SECRET]."),
    click.option(
        "--state-dir", type=click.Path(path_type=Path), help="The directory of a stopped server instead."
    ),
    click.option("--config", type=click.Path(path_type=Path), help="The stopped server's settings file."),
    click.option("--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", help="Any setting of its."),
)


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command("import-dump")
@_with_options
@click.option("--rename", is_flag=True, help="Give each file its .last name when it was imported.")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def import_dump_command(context: click.Context, /, *, rename: bool, file: Path, **where: Any) -> None:
    """Import the queues of FILE, or of every dump in a directory FILE, into a running or a stopped server.

    A queue that can't be read is reported and the others are imported all the same; the exit code is 1 then.
    A queue that the server has already stays as it is, so importing the same file again is safe.
    """
    dumps = [(path, _pairs(path)) for path in dumps_at(file)]
    is_bad = False
    with _place(context, _Where(**where)) as place:
        for path, pairs in dumps:
            outcome = place.take(pairs)
            _report(path, outcome, len(pairs))
            is_bad = is_bad or any(not skipped.exists for skipped in outcome.skipped)
            if rename:
                retire(path)
    if is_bad:
        sys.exit(FAILED)


@click.command("export-dump")
@_with_options
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default="-")
@click.pass_context
def export_dump_command(context: click.Context, /, *, file: Path, **where: Any) -> None:
    """Write all queues of a running or a stopped server to FILE, or to standard output.

    A file is whole or not there, and only its owner can read it, for it holds messages.
    """
    with _place(context, _Where(**where), must_exist=True) as place:
        if str(file) == "-":
            for piece in place.pieces():
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        else:
            size = write_file(file, place.pieces())
            click.echo(escaped(f"wrote {size} bytes to {file}"))
        _say_part(place)


@contextlib.contextmanager
def _place(context: click.Context, where: _Where, *, must_exist: bool = False) -> Iterator[_Place]:
    if where.state_dir is None and where.config is None and not where.settings:
        with contextlib.closing(_server(where.url or URL, where.secret)) as server:
            yield server
        return
    if context.get_parameter_source("url") is ParameterSource.COMMANDLINE:
        raise click.UsageError(
            "Give --url for a running server, or --state-dir or --config for a stopped one."
        )
    own = [] if where.state_dir is None else [f"storage.directory={where.state_dir.absolute()}"]
    loaded = load_settings(where.config, [*where.settings, *own])
    if must_exist and not loaded.storage.directory.is_dir():
        raise StateError(f"There is no state directory {loaded.storage.directory}")
    shard_map = shard_map_of(loaded)
    if shard_map is None:
        with open_stopped(loaded) as stopped:
            _warn(stopped)
            yield stopped
        return
    with open_group(loaded, shard_map, must_exist=must_exist) as group:
        for stopped in group.members.values():
            _warn(stopped)
        if must_exist and group.missing:
            click.echo(f"without those of {_listed(group.missing)}, whose directories are not here", err=True)
        yield group


def _say_part(place: _Place) -> None:
    """Says when an export is one shard's, and who has the rest."""
    if not isinstance(place, DumpServer) or place.part is None:
        return
    own, _, others = place.part.partition("; others=")
    click.echo(
        escaped(
            f"the queues of the shard on port {own} only: those of {_listed(others.split(','))} are theirs to export"
        ),
        err=True,
    )


def _listed(ports: Sequence[object]) -> str:
    return f"the shard{'s' if len(ports) > 1 else ''} on port {', '.join(map(str, ports))}"


def _server(url: str, secret: str | None) -> DumpServer:
    return DumpServer(url, required(secret, " Of a stopped server, give --state-dir or --config."))


def _pairs(path: Path) -> list[msgspec.Raw]:
    try:
        return split_dump(read_file(path))
    except BadRequest as error:
        raise DumpFileError(f"{path}: {error.message}; nothing was imported") from None


def _report(path: Path, outcome: Imported, total: int) -> None:
    for skipped in outcome.skipped:
        named = "" if skipped.queue_id is None else f" ({skipped.queue_id})"
        click.echo(escaped(f"{path}: queue {skipped.place}{named} not imported: {skipped.reason}"), err=True)
    click.echo(escaped(f"{path}: imported {outcome.queues:,} of {counted(total, 'queue')}"))


def _warn(stopped: Stopped) -> None:
    """What a server would log when it starts on the directory."""
    report = stopped.report
    for damage in report.damage:
        click.echo(escaped(f"state damaged: {damage.what}"), err=True)
    for queue_id, error in report.skipped:
        click.echo(escaped(f"queue {queue_id} not restored: {error.message}"), err=True)
    if report.upgraded:
        click.echo(
            f"{len(report.upgraded)} queues end: the server wrote them under other settings; give its --config",
            err=True,
        )
