"""`tidewire publish`: sends notices from a file or a pipe, one JSON object a line.

Lines are read in batches that never wait long for more to come.
"""

import io
import json
import os
import select
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple, NoReturn, Protocol, TextIO

import click

from tidewire._text import escaped
from tidewire.cli.options import required, secret_option, url_option
from tidewire.publisher import BadUrl, OneShard, Publisher, PublishFailed
from tidewire.publisher.errors import BAD_SHARD_MAP
from tidewire.publisher.transports import is_amqp

CHUNK = 65536


class Line(NamedTuple):
    """A line that is not blank, and its number from 1."""

    number: int
    text: bytes


@dataclass(frozen=True, slots=True)
class Limits:
    """When a batch is full.

    Attributes:
        lines: at most so many lines.
        size: at most so many bytes, unless one line alone is larger.
        delay: a batch is handed on so many seconds after its first line, however few it holds.
    """

    lines: int
    size: int
    delay: float


class Source(Protocol):
    """An input of bytes: a file or standard input."""

    def read(self, wait: float | None) -> bytes | None:
        """Returns what is there: empty at the end, None when nothing comes within `wait` seconds."""


class DescriptorSource:
    """Reads a file descriptor, and can tell that nothing is there yet."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, wait: float | None) -> bytes | None:
        """Waits until the descriptor can be read, then reads at most one chunk."""
        ready, _, _ = select.select([self._descriptor], [], [], wait)
        return os.read(self._descriptor, CHUNK) if ready else None


class StreamSource:
    """Reads a stream that has no descriptor; everything is there at once."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, wait: float | None) -> bytes | None:  # noqa: ARG002  # the port has it; nothing waits here
        """Reads at most one chunk."""
        return self._stream.read(CHUNK)


def source_of(stream: BinaryIO) -> Source:
    """Returns the source for a stream from which nothing was read yet."""
    try:
        return DescriptorSource(stream.fileno())
    except io.UnsupportedOperation:
        return StreamSource(stream)


@dataclass(slots=True)
class _Batch:
    """Lines that are being gathered, and when they are due."""

    lines: list[Line] = field(default_factory=list)
    size: int = 0
    due: float = 0.0

    def add(self, line: Line, due: float) -> None:
        if not self.lines:
            self.due = due
        self.lines.append(line)
        self.size += len(line.text)

    def take(self) -> list[Line]:
        lines, self.lines, self.size = self.lines, [], 0
        return lines


def batches(
    source: Source, limits: Limits, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[list[Line]]:
    """Yields the source's lines in batches, until it ends; blank lines only count."""
    splitter, batch = _Splitter(), _Batch()
    is_at_end = False
    while not is_at_end:
        chunk = source.read(max(0.0, batch.due - clock()) if batch.lines else None)
        is_at_end = chunk == b""
        for line in splitter.split(chunk or b"", is_at_end=is_at_end):
            if batch.lines and batch.size + len(line.text) > limits.size:
                yield batch.take()
            batch.add(line, clock() + limits.delay)
            if len(batch.lines) >= limits.lines:
                yield batch.take()
        if batch.lines and (is_at_end or clock() >= batch.due):
            yield batch.take()


class _Splitter:
    """Cuts chunks into numbered lines."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # of the line whose end is not there yet
        self._number = 0

    def split(self, chunk: bytes, *, is_at_end: bool) -> Iterator[Line]:
        """Yields the lines that this chunk ends; the last one, at the end, need not have a line end."""
        *whole, rest = chunk.split(b"\n")
        for piece in whole:
            yield from self._line(piece)
        if rest:
            self._parts.append(rest)
        if is_at_end and self._parts:
            yield from self._line(b"")

    def _line(self, last_piece: bytes) -> Iterator[Line]:
        text = b"".join([*self._parts, last_piece]).rstrip()
        self._parts = []
        self._number += 1
        if text:
            yield Line(self._number, text)


#: Large enough that a request's own cost hardly counts, small enough for progress to be seen; lines that
#: come one by one, as from `tail -f`, are confirmed after the delay.
LIMITS = Limits(lines=500, size=1 << 20, delay=0.05)


PAYLOAD_TOO_LARGE = 413


Numbered = tuple[int, dict[str, Any]]
"""A notice, and the number of its line."""


@click.command("publish")
@url_option
@click.option(
    "--bus", metavar="URL", envvar="TIDEWIRE_BUS__URL", help="RabbitMQ instead of the server: amqp://..."
)
@click.option("--queue", metavar="NAME", help="With --bus, the shard's queue [notify_tornado].")
@click.option(
    "--shard-map",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="With --bus and several shards, their map: each gets the notices of its users.",
)
@click.option(
    "--realm-host",
    "realm_hosts",
    metavar="ID=HOST",
    multiple=True,
    help="With --shard-map, the host of a realm that has shards of its own there; may be repeated.",
)
@secret_option
@click.option(
    "--traceparent",
    metavar="TEXT",
    envvar="TRACEPARENT",
    help="The trace context of notices that say none: 00-...-...-01.",
)
@click.argument("file", type=click.File("rb", lazy=False), default="-")
def publish_command(
    *,
    url: str,
    bus: str | None,
    queue: str | None,
    shard_map: str | None,
    realm_hosts: tuple[str, ...],
    secret: str | None,
    traceparent: str | None,
    file: BinaryIO,
) -> None:
    """Send notices from FILE, or from standard input, one JSON object a line.

    Prints how many were confirmed. A notice that is refused is reported with the number of its line, and the
    others are sent all the same; the exit code is 1 then. Give each notice an `id`, and sending the same file
    again is safe.
    """
    broker = bus if bus and is_amqp(bus) else None
    if bus and broker is None and bus != "memory:":
        raise click.BadParameter("it begins with amqp:// or amqps://", param_hint="--bus")
    if not broker:
        required(secret)
    if queue and shard_map:
        raise click.BadParameter("give --queue or --shard-map, not both", param_hint="--queue")
    placing = _Placing(queue, shard_map, _hosts(realm_hosts))
    with _publisher(broker or url, secret, placing) as publisher:
        sending = _Sending(publisher, _Progress(file, sys.stderr), traceparent)
        try:
            for lines in batches(source_of(file), LIMITS):
                sending.send_lines(lines)
        finally:
            sending.finish()
    if sending.confirmed < sending.read:
        sys.exit(1)


class _Placing(NamedTuple):
    """Which queues notices go into."""

    queue: str | None
    shard_map: str | None
    realm_hosts: dict[int, str] | None


def _hosts(given: Sequence[str]) -> dict[int, str] | None:
    hosts: dict[int, str] = {}
    for text in given:
        realm_id, is_pair, host = text.partition("=")
        if not (realm_id.isdecimal() and is_pair and host):
            raise click.BadParameter(f"{text!r} is not of the form ID=HOST", param_hint="--realm-host")
        hosts[int(realm_id)] = host
    return hosts or None


def _publisher(url: str, secret: str | None, placing: _Placing) -> Publisher:
    try:
        return Publisher(
            url,
            secret=secret,
            shards=OneShard(placing.queue) if placing.queue else None,
            shard_map=placing.shard_map,
            realm_hosts=placing.realm_hosts,
        )
    except BadUrl as error:
        hint = "--bus" if is_amqp(url) else "--url"
        raise click.BadParameter(str(error), param_hint=hint) from error
    except PublishFailed as error:
        hint = "--shard-map" if error.code == BAD_SHARD_MAP else "--secret"
        raise click.BadParameter(error.message, param_hint=hint) from error


class _Progress:
    """One line on a terminal that shows how far the sending is; nothing anywhere else.

    The share of the file is shown when its size is known, and counts of notices in any case.
    """

    def __init__(self, file: BinaryIO, screen: TextIO) -> None:
        self._screen = screen if screen.isatty() else None
        self._total = _size_of(file) if self._screen is not None else 0

    def show(self, sent_bytes: int, confirmed: int, refused: int) -> None:
        """Draws the progress line again."""
        if self._screen is None:
            return
        share = min(1.0, sent_bytes / self._total) if self._total else None
        bar = "" if share is None else f"[{'#' * round(share * 30):30}] {share:4.0%}  "
        self._screen.write(f"\r\x1b[K{bar}confirmed {confirmed}, refused {refused}")
        self._screen.flush()

    def clear(self) -> None:
        """Makes room for a line of text."""
        if self._screen is not None:
            self._screen.write("\r\x1b[K")
            self._screen.flush()


class _Sending:
    """Sends batch after batch, and counts."""

    def __init__(self, publisher: Publisher, progress: _Progress, traceparent: str | None) -> None:
        self._publisher = publisher
        self._traceparent = traceparent
        self._progress = progress
        self._sent_bytes = 0
        self._refused = 0
        self.read = 0
        self.confirmed = 0

    def send_lines(self, lines: list[Line]) -> None:
        """Sends a batch of lines; reports those that are no notice, or are refused."""
        self.read += len(lines)
        notices: list[Numbered] = []
        for line in lines:
            try:
                notices.append((line.number, self._traced(_notice(line.text))))
            except ValueError as error:
                self._refuse(line.number, str(error))
        self._send(notices)
        self._sent_bytes += sum(len(line.text) + 1 for line in lines)
        self._progress.show(self._sent_bytes, self.confirmed, self._refused)

    def finish(self) -> None:
        """Says how many notices were confirmed."""
        self._progress.clear()
        click.echo(f"confirmed {self.confirmed} of {self.read} notices")

    def _traced(self, notice: dict[str, Any]) -> dict[str, Any]:
        if self._traceparent and notice.get("traceparent") is None:
            notice["traceparent"] = self._traceparent
        return notice

    def _send(self, notices: list[Numbered]) -> None:
        while notices:
            try:
                self._publisher.send([notice for _, notice in notices])
            except PublishFailed as failure:
                notices = self._without_refused(notices, failure)
            else:
                self.confirmed += len(notices)
                return

    def _without_refused(self, notices: list[Numbered], failure: PublishFailed) -> list[Numbered]:
        """Returns what is still to be sent of a batch of which the server took nothing."""
        index = failure.index
        if failure.http_status == PAYLOAD_TOO_LARGE and index is None:
            if len(notices) > 1:
                half = len(notices) // 2
                self._send(notices[:half])
                return notices[half:]
            index = 0
        if index is None or failure.retry_helps:
            raise failure
        self._refuse(notices[index][0], f"{failure.message} ({failure.code})")
        return notices[:index] + notices[index + 1 :]

    def _refuse(self, number: int, reason: str) -> None:
        self._refused += 1
        self._progress.clear()
        click.echo(f"line {number}: {escaped(reason)}", err=True)


def _notice(text: bytes) -> dict[str, Any]:
    """Reads one line; raises `ValueError` with a sentence that says what is wrong with it."""
    try:
        notice = json.loads(text.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise ValueError("not UTF-8 (INVALID_NOTICE)") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno} (INVALID_NOTICE)") from None
    except RecursionError:
        raise ValueError("nested too deeply (INVALID_NOTICE)") from None
    if not isinstance(notice, dict):
        raise ValueError("a notice is a JSON object (INVALID_NOTICE)")  # noqa: TRY004  # the line is wrong, not a type
    return notice


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON (INVALID_NOTICE)")


def _size_of(file: BinaryIO) -> int:
    """Returns the size of a regular file in bytes; 0 for what has no size."""
    try:
        status = os.fstat(file.fileno())
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0
