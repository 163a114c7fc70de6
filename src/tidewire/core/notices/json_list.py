"""A long JSON list, read in chunks: each call of the decoder gets a few kilobytes, however long the list is.

Where the list may be cut is guessed and then proven. JSON has one reading from left to right, so if what stands
between two commas decodes as the contents of a list, those commas are the list's own. A guess that fails costs one
chunk, after a few of them the brackets are counted, which is always right and slower.
"""

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")

CHUNK_BYTES = 16 * 1024
"""Of a list, decoded at once: a millisecond for the shortest notices, of which it has some 500."""

GUESSES = 4
"""Commas of a chunk that are tried. The elements of a list look alike, so nearly always one of the first is right."""

STEPS = 2000
"""Of the count of brackets, without a turn for others: well under a millisecond."""

BETWEEN_OBJECTS = re.compile(rb"\}[ \t\r\n]{0,64}(,)[ \t\r\n]{0,64}\{")
"""Where a list of objects may be cut."""

BETWEEN_ANY = re.compile(rb"[}0-9][ \t\r\n]{0,64}(,)[ \t\r\n]{0,64}[{0-9-]")
"""A comma between two members of a list of objects and numbers."""

_STRUCTURE = re.compile(rb'["\[\]{},]')
_STRING_END = re.compile(rb'["\\]')
_OPENING, _CLOSING = frozenset(b"[{"), frozenset(b"]}")
_QUOTE = ord('"')


class TooLong(Exception):
    """An element takes more bytes than one may."""


class ListReader(Generic[T]):
    """Reads one list.

    Attributes:
        at: where in the text the next chunk begins.
    """

    def __init__(
        self,
        text: bytes,
        decode: Callable[[bytes], Sequence[T]],
        *,
        between: re.Pattern[bytes],
        most: int,
        begin: int = 1,
    ) -> None:
        """Takes a list.

        Args:
            text: what ends with the list.
            decode: reads a list that is short enough, and raises its own errors.
            between: what looks like the end of one element and the beginning of the next; its group is the comma.
            most: bytes that an element may have.
            begin: where in the text its first element does, behind the opening bracket.
        """
        self._text = text
        self._decode = decode
        self._between = between
        self._most = most
        self._begin = self.at = begin

    def chunks(self) -> Iterator[Sequence[T]]:
        """All elements, some at a time and in order; nothing where only time has passed.

        Raises:
            TooLong: the next element has more bytes than one may.
        """
        text = self._text
        while len(text) - self.at > 2 * CHUNK_BYTES:
            chunk = self._guess()
            if chunk is None:
                comma = yield from self._end_of_chunk()
                if comma is None:
                    break
                chunk = self._decode(b"[%b]" % text[self.at : comma - 1])
                self.at = comma
            yield chunk
        rest = self._decode(b"[" + text[self.at :])
        if not rest and self.at > self._begin:
            # Behind a comma there must be an element; by itself the rest is an empty list.
            self._decode(b"[," + text[self.at :])
        yield rest

    def _guess(self) -> Sequence[T] | None:
        start = self.at + CHUNK_BYTES
        found = self._between.finditer(self._text, start, start + CHUNK_BYTES)
        for match in islice(found, GUESSES):
            comma = match.start(1)
            try:
                chunk = self._decode(b"[%b]" % self._text[self.at : comma])
            except Exception:  # noqa: BLE001, S112 - what is really wrong will be raised once the end is known
                continue
            self.at = comma + 1
            return chunk
        return None

    def _end_of_chunk(self) -> Generator[Sequence[T], None, int | None]:
        """Where the chunk ends, behind its comma; None when all the rest is one chunk.

        An element that is long by itself becomes a chunk of its own.
        """
        begin, text = self.at, self._text
        comma: int | None = None
        for seen, is_comma in _structure(text, begin):
            if seen - (comma or begin) > self._most:
                if comma is None:
                    raise TooLong
                return comma
            if not is_comma:
                yield ()
                continue
            if comma is not None and seen > begin + 2 * CHUNK_BYTES:
                return comma
            comma = seen
            if comma >= begin + CHUNK_BYTES:
                return comma
        if comma is None and len(text) - begin > self._most + CHUNK_BYTES:
            raise TooLong
        return comma


def _structure(text: bytes, at: int) -> Iterator[tuple[int, bool]]:
    """Goes through the contents of a list: the position behind each of its own commas, and where it is now and then.

    Ends with the list's closing bracket, or with the text.
    """
    depth = steps = 0
    inside = False
    while at < len(text):
        steps += 1
        if steps % STEPS == 0:
            yield at, False
        token = (_STRING_END if inside else _STRUCTURE).search(text, at, at + CHUNK_BYTES)
        if token is None:
            at += CHUNK_BYTES
            yield min(at, len(text)), False
            continue
        at = token.end()
        byte = text[at - 1]
        if byte == _QUOTE:
            inside = not inside
        elif inside:
            at += 1  # whatever is escaped
        elif byte in _OPENING:
            depth += 1
        elif byte in _CLOSING:
            depth -= 1
            if depth < 0:
                return
        elif depth == 0:
            yield at, True
