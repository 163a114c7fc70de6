"""The dump of a running server, over HTTP."""

import http.client
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import click
import msgspec

from tidewire import TidewireError
from tidewire._http import Answer, BadUrl, Connection, TransportFailed, error_of
from tidewire.cli.options import header_of
from tidewire.http.views.dump import PART, QUEUE_EXISTS

PATH = "/api/internal/dump"
OK = 200

EXISTS = "there is a queue of this id already"
"""Why a queue was skipped that need not worry anybody."""

REQUEST_BYTES = 1024 * 1024
"""Of queues in one request to import; a larger queue is sent alone."""

PATIENCE = 60.0
"""Seconds in which a request to import must be answered."""

LONGEST_EXPORT = 3600.0
"""Seconds in which a whole export must have come."""

PIECE = 1024 * 1024


class DumpRefused(TidewireError):
    """The server did not take a request, or did not answer like one."""

    code = "DUMP_REFUSED"


class Skipped(NamedTuple):
    """A queue of a dump that was not imported; `place` is its own there, `exists`: because there is one already."""

    place: int
    queue_id: str | None
    reason: str
    exists: bool


class Imported(NamedTuple):
    """What became of a dump."""

    queues: int
    skipped: Sequence[Skipped]


class DumpServer:
    """A running server that dumps are sent to, or got from."""

    def __init__(self, url: str, secret: str) -> None:
        """Takes the address.

        Raises:
            click.BadParameter: it can't be used.
        """
        headers = header_of(secret)
        try:
            self._connection = _Streaming(url, headers=headers)
        except BadUrl as error:
            raise click.BadParameter(str(error), param_hint="--url") from error

    def take(self, pairs: Sequence[msgspec.Raw]) -> Imported:
        """Imports queues, in as many requests as it takes.

        Raises:
            TransportFailed, DumpRefused: the server did not take all; sending the same again is safe.
        """
        imported, skipped = 0, list[Skipped]()
        for first, some in _parts(pairs):
            answer = self._connection.request(
                "POST",
                PATH,
                timeout=PATIENCE,
                body=msgspec.json.encode(some),
                content_type="application/json",
            )
            body = _success(answer)
            imported += body["imported"]
            skipped += [
                Skipped(first + skip["index"], skip["queue_id"], skip["reason"], skip["code"] == QUEUE_EXISTS)
                for skip in body["skipped"]
            ]
        return Imported(imported, skipped)

    def pieces(self) -> Iterator[bytes]:
        """The dump of all queues, as it comes.

        Raises:
            TransportFailed, DumpRefused: it did not come whole.
        """
        first, last = b"", b""
        for piece in self._connection.stream(PATH, timeout=LONGEST_EXPORT):
            first = first or piece
            if not first.startswith(b"["):
                break
            last = (last + piece[-2:])[-2:]  # the end may come in two pieces
            yield piece
        # A proxy in between may have answered, or let go of the connection without saying so.
        if not first.startswith(b"[") or last != b"]\n":
            raise DumpRefused("The answer is no whole dump; is this the URL of a Tidewire server?")

    @property
    def part(self) -> str | None:
        """Once there was an export: whose part of several shards it is; None when it is everything."""
        return self._connection.part

    def close(self) -> None:
        """Disconnects."""
        self._connection.close()


def _parts(pairs: Sequence[msgspec.Raw]) -> Iterator[tuple[int, list[msgspec.Raw]]]:
    """The queues in lists of bounded size, each with the place of its first."""
    part: list[msgspec.Raw] = []
    first = size = 0
    for place, pair in enumerate(pairs):
        length = memoryview(pair).nbytes
        if part and size + length > REQUEST_BYTES:
            yield first, part
            first, part, size = place, [], 0
        part.append(pair)
        size += length
    if part:
        yield first, part


def _success(answer: Answer) -> dict[str, Any]:
    if answer.status != OK or answer.json is None or "imported" not in answer.json:
        code, sentence, _ = error_of(answer)
        raise DumpRefused(f"{sentence} ({code})")
    return answer.json


class _Streaming(Connection):
    """A connection whose answers need not fit into memory."""

    part: str | None = None
    """The header `PART` of the newest answer."""

    def stream(self, path: str, *, timeout: float) -> Iterator[bytes]:
        """The body of an answer, piece by piece, in `timeout` seconds altogether."""
        try:
            response = self._begin(
                "GET", self._address.prefix + path, None, self._headers, time.monotonic() + timeout
            )
            self.part = response.getheader(PART.decode())
            if response.status != OK:
                _success(self._read(response))
            while piece := response.read(PIECE):
                yield piece
        except (OSError, http.client.HTTPException) as error:
            raise TransportFailed(self._address.failure(error, timeout)) from error
        finally:
            self.close()
