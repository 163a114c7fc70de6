"""The protocol of a connection: where each request begins and ends in its bytes."""

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, NamedTuple, TypeAlias

from tidewire.core.errors import BadRequest, HeadersTooLarge, TargetTooLong, WireError
from tidewire.http.lane.parsing import END, FIELD, REQUEST_LINE, REQUEST_LINE_REST, Head, parse_head, unparsed
from tidewire.http.lane.peer_limits import Bounds

EMPTY_LINES = 8
"""Before a request, which mean nothing in HTTP: some old clients end a body with one."""

CHUNK_LINE_BYTES = 256
"""Of the line before a chunk, with its extensions, which no client of this server has a use for."""

EXTENSION_BYTES = 1_024
"""Of chunk extensions in a whole body: they are no part of it, so nothing else would bound them."""

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""What ends a line, or must not be in one."""

_CHUNK_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,8}+)((?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]++(?:=(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++|\"[\t !#-\[\]-~]*+\"))?+)*+)"
)


class Body(NamedTuple):
    """Bytes of the body under way, as many as there were."""

    data: bytes


class Refusal(NamedTuple):
    """What came can't be read for certain, or is too much. Nothing that follows is looked at."""

    error: WireError


class Signal(Enum):
    """Events of the framer that carry no data."""

    END = auto()
    """The body has come to its end. A request whose head announces none has no such event."""
    MORE = auto()
    """Nothing further can be said until more comes, or until the request is answered."""


END_OF_BODY: Final = Signal.END
NEED_DATA: Final = Signal.MORE

Event: TypeAlias = Head | Body | Refusal | Signal


class _State(Enum):
    BETWEEN = auto()
    """Before the first byte of a request; empty lines may come."""
    HEAD = auto()
    LENGTH = auto()
    """In a body whose length the head has said."""
    CHUNK_LINE = auto()
    CHUNK = auto()
    CHUNK_END = auto()
    """The two bytes behind a chunk."""
    TRAILER = auto()
    COMPLETE = auto()
    """The request has come whole, and the next is not looked at before it is answered."""
    BROKEN = auto()


_BODY_STATES = frozenset({_State.LENGTH, _State.CHUNK_LINE, _State.CHUNK, _State.CHUNK_END, _State.TRAILER})


class _Refused(Exception):
    def __init__(self, error: WireError) -> None:
        super().__init__()
        self.error = error


class RequestFramer:
    """Finds the requests of one connection, one after the other.

    `receive` takes bytes, `next_event` says what they are until it says `NEED_DATA`, and `start_next` lets it go on behind a
    request that was answered.

    Attributes:
        untouched: nothing has come since the last request ended, or since the beginning.
        in_body: the end of the body under way is still to come.
    """

    __slots__ = (
        "_at",
        "_bounds",
        "_buffer",
        "_checked",
        "_count",
        "_extensions",
        "_left",
        "_line",
        "_state",
        "in_body",
        "untouched",
    )

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._buffer = b""
        self._at = 0
        """Up to where the buffer was given out; heads and trailers are given out whole."""
        self._line = 0
        """Where the line under way begins."""
        self._checked = 0
        """Up to where it was looked at."""
        self._count = 0
        """Of empty lines, then of header lines."""
        self._left = 0
        """Bytes still to come of a body with a length, or of a chunk."""
        self._extensions = 0
        self._state = _State.BETWEEN
        self.untouched = True
        self.in_body = False

    @property
    def buffered(self) -> int:
        """Bytes that came and were not given out."""
        return len(self._buffer) - self._at

    @property
    def remaining(self) -> int | None:
        """Bytes of the body under way that were not given out; None when nobody has said how many come."""
        if not self.in_body:
            return 0
        return self._left if self._state is _State.LENGTH else None

    def receive(self, data: bytes) -> None:
        """Adds bytes that the connection received."""
        if self._state is _State.BROKEN:
            return
        self.untouched = False
        at = self._at
        if at:
            self._line -= at
            self._checked -= at
            self._at = 0
            data = self._buffer[at:] + data
            self._buffer = data
        elif self._buffer:
            self._buffer += data
        else:
            self._buffer = data

    def start_next(self) -> None:
        """The request was answered: what came behind it is looked at."""
        if self._state is not _State.COMPLETE:
            return
        if self._at == len(self._buffer):
            self._buffer = b""
            self._at = 0
            self.untouched = True
        self._begin_lines(_State.BETWEEN)

    def next_event(self) -> Event:
        """What the bytes that came are, in their order."""
        if self._state is _State.BETWEEN:
            head = self._whole_head()
            if head is not None:
                return head
        try:
            return self._next()
        except _Refused as refused:
            self._state = _State.BROKEN
            self._buffer = b""
            self._at = 0
            self.in_body = False
            return Refusal(refused.error)

    def _whole_head(self) -> Head | None:
        """A head that has come at once, as nearly all do; whatever is wrong with it is found again line by line."""
        at, buffer, bounds = self._at, self._buffer, self._bounds
        end = buffer.find(END, at) + len(END)
        if end < len(END) or end - at > bounds.head_bytes:
            return None
        head = parse_head(buffer[at:end])
        if not isinstance(head, Head) or len(head.target) > bounds.target_bytes:
            return None
        return self._begin_body(head, end) if len(head.headers) <= bounds.headers else None

    def _next(self) -> Event:
        state = self._state
        if state is _State.BETWEEN and not self._skip_empty_lines():
            return NEED_DATA
        if self._state is _State.HEAD:
            return self._head()
        if state is _State.LENGTH:
            return self._counted()
        if state in _BODY_STATES:
            return self._chunked()
        return NEED_DATA

    # Lines.

    def _begin_lines(self, state: _State) -> None:
        self._state = state
        self._line = self._checked = self._at
        self._count = 0

    def _take_line(self, most: int, too_long: Callable[[], WireError]) -> bytes | None:
        """The next line without its end; None until it is there.

        Args:
            most: where in the buffer its end must stand at the latest.
            too_long: what is said when it does not.
        """
        buffer = self._buffer
        found = _CONTROL.search(buffer, self._checked)
        stop = len(buffer) if found is None else found.start()
        if stop > most:
            raise _Refused(too_long())
        self._checked = stop
        if stop == len(buffer):
            return None
        ending = buffer[stop : stop + 2]
        if ending == b"\r":
            return None
        if ending != b"\r\n":
            raise _Refused(unparsed())
        line = buffer[self._line : stop]
        self._line = self._checked = stop + 2
        return line

    # Heads.

    def _skip_empty_lines(self) -> bool:
        """Whether a request begins behind them."""
        buffer = self._buffer
        while buffer.startswith(b"\r\n", self._at):
            self._at += 2
            self._count += 1
            if self._count > EMPTY_LINES:
                raise _Refused(BadRequest(f"More than {EMPTY_LINES} empty lines stand before the request"))
        rest = buffer[self._at : self._at + 1]
        if not rest or (rest == b"\r" and len(buffer) == self._at + 1):
            return False
        if not rest.isalpha():
            raise _Refused(unparsed())
        self._begin_lines(_State.HEAD)
        return True

    def _head(self) -> Event:
        if not self._take_head_lines():
            return NEED_DATA
        head = parse_head(self._buffer[self._at : self._line])
        if isinstance(head, WireError):
            raise _Refused(head)
        return self._begin_body(head, self._line)

    def _take_head_lines(self) -> bool:
        """Takes the lines that are there; whether the empty one was among them."""
        if self._line == self._at and not self._take_request_line():
            return False
        return self._take_fields()

    def _take_request_line(self) -> bool:
        most_of_head, most_of_target = self._bounds.head_bytes - 2, self._bounds.target_bytes
        most = most_of_target + REQUEST_LINE_REST
        if most <= most_of_head:
            line = self._take_line(self._at + most, self._target_too_long)
        else:
            line = self._take_line(self._at + most_of_head, self._too_large)
        if line is None:
            return False
        match = REQUEST_LINE.fullmatch(line + b"\r\n")
        if match is None:
            raise _Refused(unparsed())
        if len(match[2]) > most_of_target:
            raise _Refused(self._target_too_long())
        return True

    def _take_fields(self) -> bool:
        """Takes the lines that are there, within the bounds of a head; whether the empty one was among them."""
        most = self._at + self._bounds.head_bytes - 2
        while (line := self._take_line(most, self._too_large)) is not None:
            if not line:
                return True
            self._count += 1
            if self._count > self._bounds.headers:
                raise _Refused(self._too_large())
            if not FIELD.fullmatch(line + b"\r\n"):
                raise _Refused(unparsed())
        return False

    def _target_too_long(self) -> WireError:
        return TargetTooLong(self._bounds.target_bytes)

    def _too_large(self) -> WireError:
        return HeadersTooLarge(self._bounds.head_bytes, self._bounds.headers)

    def _begin_body(self, head: Head, end: int) -> Head:
        self._at = end
        if head.length == 0:
            self._state = _State.COMPLETE
        elif head.length is None:
            self.in_body = True
            self._extensions = 0
            self._begin_lines(_State.CHUNK_LINE)
        else:
            self.in_body = True
            self._left = head.length
            self._state = _State.LENGTH
        return head

    # Bodies.

    def _end_body(self) -> Event:
        self._state = _State.COMPLETE
        self.in_body = False
        return END_OF_BODY

    def _counted(self) -> Event:
        if not self._left:
            return self._end_body()
        return self._take_body() or NEED_DATA

    def _take_body(self) -> Body | None:
        """Bytes of the body up to the end of what is counted; None when there are none."""
        at = self._at
        data = self._buffer[at : at + self._left] if at or len(self._buffer) > self._left else self._buffer
        if not data:
            return None
        self._left -= len(data)
        self._at = at + len(data)
        if self._at == len(self._buffer):
            self._buffer = b""
            self._at = 0
        return Body(data)

    def _chunked(self) -> Event:
        """Reads on until there are bytes of the body, or its end, or nothing."""
        while True:
            if self._state is _State.CHUNK:
                if self._left:
                    return self._take_body() or NEED_DATA
                self._state = _State.CHUNK_END
            elif self._state is _State.CHUNK_END:
                ending = self._buffer[self._at : self._at + 2]
                if ending != b"\r\n":
                    if b"\r\n".startswith(ending):
                        return NEED_DATA
                    raise _Refused(BadRequest("A chunk of the body is longer than it says"))
                self._at += 2
                self._begin_lines(_State.CHUNK_LINE)
            elif self._state is _State.CHUNK_LINE:
                if not self._take_chunk_line():
                    return NEED_DATA
            else:
                return self._end_body() if self._take_trailers() else NEED_DATA

    def _take_chunk_line(self) -> bool:
        line = self._take_line(self._at + CHUNK_LINE_BYTES - 2, _chunk_line_too_long)
        if line is None:
            return False
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise _Refused(BadRequest("The size of a chunk of the body can't be read"))
        self._extensions += len(match[2])
        if self._extensions > EXTENSION_BYTES:
            raise _Refused(BadRequest("The chunks of the body have too many extensions"))
        self._at = self._line
        self._left = int(match[1], 16)
        if self._left:
            self._state = _State.CHUNK
        else:
            self._begin_lines(_State.TRAILER)
        return True

    def _take_trailers(self) -> bool:
        """Drops the lines behind the last chunk; whether the empty one was there.

        None of them may change what the head said, so none is kept.
        """
        if not self._take_fields():
            return False
        self._at = self._line
        return True


def _chunk_line_too_long() -> WireError:
    return BadRequest("The line before a chunk of the body is too long")
