"""Lines from a file or a pipe, numbered, in batches that never wait long for more lines to come."""

import io
import os
import select
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple, Protocol

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
    """Where bytes come from."""

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
