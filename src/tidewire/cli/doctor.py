"""`tidewire doctor`: what is in a state directory, whether a start would succeed with it, and what to do. It only reads."""

import json
import os
import shutil
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import click

from tidewire._text import counted, escaped
from tidewire.app.from_settings import origin_of
from tidewire.cli.dump.stopped_server import finder
from tidewire.cli.errors import FAILED
from tidewire.cli.options import config_option, load_settings, set_option
from tidewire.config import Settings
from tidewire.config.plugins import load_rules
from tidewire.config.secrets import OTHERS, ROOT
from tidewire.config.shards import shard_directory, shard_map_of
from tidewire.core.errors import StateError
from tidewire.sharding.shard_map import ShardMap
from tidewire.storage.directory_report import Contents, Look, Seen, in_use, look, read_contents
from tidewire.storage.files import DirectoryFiles
from tidewire.storage.permissions import writable_by_others
from tidewire.storage.recovery import VERSION
from tidewire.storage.segments import segment_serials
from tidewire.storage.snapshots import snapshot_positions

Check: TypeAlias = Literal[
    "no-state",
    "refused",
    "damaged",
    "lost",
    "fingerprint",
    "other-shards",
    "space",
    "permissions",
    "kept-aside",
    "other-files",
]


SECRET = "secret"  # noqa: S105 - a file's name


START_WITHOUT = (
    "bring the directory back from a copy that no server has run on since, or move everything but `secret` away: "
    "then clients register again"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that somebody should do something about."""

    check: Check
    found: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """Everything that is known of a directory.

    Attributes:
        bytes: of its files.
        free: bytes on its disk.
        position: of the snapshot that a start would begin with; None, like the next three, if none can be told.
        reached: the newest record.
        queues: in the snapshot.
        records: after it.
    """

    directory: str
    in_use: bool
    bytes: int
    free: int
    position: int | None
    reached: int | None
    queues: int | None
    records: int | None
    files: tuple[Seen, ...]
    findings: tuple[Finding, ...]


def check_up(
    directory: Path, *, fingerprint: str, needs: int, shard_of: Callable[[int, int], int] | None = None
) -> Checkup:
    """Checks a directory.

    Args:
        directory: which.
        fingerprint: of the settings that the next start will have.
        needs: bytes that the journal may grow by before a snapshot replaces it.
        shard_of: the port of the shard that serves a user, by id and realm; None when there is no shard map.

    Raises:
        StateError: it can't be read at all.
    """
    if not is_state(directory):
        return _no_state(directory)
    running = in_use(directory)
    seen = look(directory, running=running)
    contents: Contents | None = None
    refused = seen.refused
    if refused is None:
        try:
            contents = read_contents(DirectoryFiles(directory))
        except StateError as error:
            refused = str(error)
    total = sum(file.bytes for file in seen.files)
    free = shutil.disk_usage(directory).free
    findings = [
        *_refused(refused),
        *_damaged(seen, running=running),
        *_lost(contents),
        *_fingerprint(contents, fingerprint),
        *_other_shards(directory, contents, shard_of),
        *_space(free, total, needs),
        *_permissions(directory),
        *_left_over(seen.files),
    ]
    return Checkup(
        directory=str(directory),
        in_use=running,
        bytes=total,
        free=free,
        position=None if contents is None else seen.position,
        reached=None if contents is None else seen.reached,
        queues=None if contents is None else contents.queues,
        records=None if contents is None else contents.records,
        files=seen.files,
        findings=tuple(findings),
    )


def is_state(directory: Path) -> bool:
    """Whether a server has ever kept its state there."""
    names = os.listdir(directory)  # noqa: PTH208 - names are wanted, not paths
    return VERSION in names or bool(segment_serials(names) or snapshot_positions(names))


def shard_directories(directory: Path) -> list[Path]:
    """The state directories of several shards that run from this one."""
    return sorted(path for path in directory.glob("shard-*") if path.is_dir() and is_state(path))


def _no_state(directory: Path) -> Checkup:
    return Checkup(
        directory=str(directory),
        in_use=in_use(directory),
        bytes=0,
        free=shutil.disk_usage(directory).free,
        position=None,
        reached=None,
        queues=None,
        records=None,
        files=(),
        findings=(
            Finding(
                check="no-state",
                found=f"{directory} is no state directory: no server has kept its state there",
                advice="name the one that `storage.directory` names, or give --config",
            ),
        ),
    )


def _refused(refused: str | None) -> Iterator[Finding]:
    if refused is not None:
        yield Finding(check="refused", found=f"a start would be refused: {refused}", advice=START_WITHOUT)


def _damaged(seen: Look, *, running: bool) -> Iterator[Finding]:
    advice = "the next start uses what can be read, and keeps this file aside; check the disk"
    if running:
        advice = "the server goes on without it; check the disk, and the server's log for `state damaged`"
    for file in seen.files:
        if file.problem is not None:
            yield Finding(check="damaged", found=f"{file.name}: {file.problem}", advice=advice)


def _lost(contents: Contents | None) -> Iterator[Finding]:
    if contents is None:
        return
    for name in contents.ignored:
        yield Finding(
            check="lost",
            found=f"{name} goes on from records that are lost",
            advice="the next start applies nothing of it and keeps it aside; check the disk",
        )
    if contents.missing:
        yield Finding(
            check="lost",
            found=f"{contents.missing:,} records are known to have been there and can't be read",
            advice="the next start ends the queues that one of them may have concerned (`damaged`); check the disk",
        )
    if contents.lost_queues:
        yield Finding(
            check="lost",
            found=f"{contents.lost_queues:,} queues of the snapshot can't be read",
            advice="the next start goes on without them, and their clients register again; check the disk",
        )


def _fingerprint(contents: Contents | None, fingerprint: str) -> Iterator[Finding]:
    """A clean stop leaves no records, so there is nothing to compare after one."""
    others = {} if contents is None else contents.fingerprints
    other = sum(count for written, count in others.items() if written != fingerprint)
    if other:
        yield Finding(
            check="fingerprint",
            found=f"{other:,} records were written under other rules",
            advice="start the version that wrote them, with its merge rules, and stop it cleanly first; else the "
            "queues that these records touched end, and their clients register again",
        )


def _other_shards(
    directory: Path, contents: Contents | None, shard_of: Callable[[int, int], int] | None
) -> Iterator[Finding]:
    """Queues that nobody polls where they are: by the map, their users' requests go elsewhere."""
    if contents is None or shard_of is None:
        return
    elsewhere: Counter[int] = Counter()
    for (user_id, realm_id), count in contents.owners.items():
        elsewhere[shard_of(user_id, realm_id)] += count
    for port in sorted(elsewhere):
        if directory.name != shard_directory(port):
            yield Finding(
                check="other-shards",
                found=f"{elsewhere[port]:,} queues are of users whom the shard map gives to the shard on port {port}",
                advice="they expire here, and their clients register again there; to keep them, stop both shards, "
                "export this directory and import the file with --config",
            )


def _space(free: int, total: int, needs: int) -> Iterator[Finding]:
    """A snapshot is written beside the old one and the journal."""
    wanted = total + needs
    if free < wanted:
        yield Finding(
            check="space",
            found=f"{free:,} bytes are free on the disk; the next snapshot and what comes before it may take {wanted:,}",
            advice="make room: when the disk is full, new queues and notices are refused",
        )


def _permissions(directory: Path) -> Iterator[Finding]:
    refused = writable_by_others(directory)
    if refused is not None:
        yield Finding(
            check="permissions",
            found=f"a start would be refused: others than the owner may write the directory (mode {_mode(directory):04o})",
            advice=f"chmod 700 {directory}, and see that nobody has put anything into it",
        )
    open_to_others = [
        path.name for path in sorted(directory.iterdir()) if path.is_file() and _mode(path) & OTHERS
    ]
    if refused is None and _mode(directory) & OTHERS:
        yield Finding(
            check="permissions",
            found=f"others than the owner may use the directory (mode {_mode(directory):04o})",
            advice=f"chmod 700 {directory}",
        )
    if open_to_others:
        yield Finding(
            check="permissions",
            found=f"others than the owner may use {_listed(open_to_others)}",
            advice="chmod 600 each of them; the files hold messages and the secret",
        )
    yield from _owner_of_secret(directory)
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(
            check="permissions",
            found="the user who asks can't write the directory",
            advice="nothing, if the server runs as another user; else make the directory its user's",
        )


def _owner_of_secret(directory: Path) -> Iterator[Finding]:
    """The server takes no secret that another user than its own, or root, can change."""
    try:
        owner, own = (directory / SECRET).stat().st_uid, directory.stat().st_uid
    except OSError:
        return
    if owner not in {own, ROOT}:
        yield Finding(
            check="permissions",
            found=f"a start would be refused: {SECRET} belongs to the user with the number {owner}, who does not have the directory",
            advice="make it the server's user's, or remove it: the next start makes another, which publishers need too",
        )


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0  # a running server has removed it


def _left_over(files: Iterable[Seen]) -> Iterator[Finding]:
    aside = [file.name for file in files if file.kind == "damaged"]
    if aside:
        yield Finding(
            check="kept-aside",
            found=f"an earlier start found damage and kept {_listed(aside)}",
            advice="look into the log of that start for what was lost, and at the disk; then remove them",
        )
    other = [file.name for file in files if file.kind == "other" and file.name != SECRET]
    if other:
        yield Finding(
            check="other-files",
            found=f"{_listed(other)}: not of this server's state",
            advice="move them elsewhere, so that nobody takes them for it",
        )


def _listed(names: list[str]) -> str:
    most = 5
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


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
        lines.append(
            f"state            {counted(found.queues or 0, 'queue')} at position {found.position:,} (snapshot)"
        )
        lines.append(
            f"                 {counted(found.records or 0, 'record')} after it, up to position {found.reached:,}"
        )
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
