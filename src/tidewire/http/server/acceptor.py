"""Letting connections in: a few in a turn of the loop, and if wanted so many a second; the others wait in the backlog.

uvloop's own way takes all that wait at once. After a restart these are thousands, and nobody else is served until the last
of them is in.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable

AT_ONCE = 20
"""Connections of one turn of the loop: some milliseconds with their first requests."""

BURST = 0.1
"""Seconds' worth of connections that may come at once after a quiet time."""

PAUSE = 1.0
"""Seconds until another try, when the machine has no room for another connection."""

NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Rate:
    """How many may come now, when so many a second may: a bucket of allowances. It knows no clock."""

    def __init__(self, per_second: int, *, now: float) -> None:
        """Takes the rate, 0 for none, and the time."""
        self._per_second = per_second
        self._most = max(1.0, per_second * BURST)
        self._left = self._most
        self._at = now

    def allowed(self, now: float) -> int:
        """How many may come at once."""
        if not self._per_second:
            return AT_ONCE
        self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now
        return min(AT_ONCE, int(self._left))

    def took(self, count: int) -> None:
        """Notes how many connections were accepted in this turn."""
        if self._per_second:
            self._left -= count

    def wait(self) -> float:
        """Seconds until a turn's worth, or as many as may ever come, is allowed again."""
        return float(max(0.0, min(AT_ONCE, self._most) - self._left) / self._per_second)


class Acceptor:
    """Accepts on one socket, from `start` to `close`."""

    def __init__(
        self,
        listener: socket.socket,
        connect: Callable[[], asyncio.Protocol],
        *,
        per_second: int,
        on_no_room: Callable[[OSError], None],
    ) -> None:
        """Takes what it needs.

        Args:
            listener: a bound socket.
            connect: makes the protocol of a connection.
            per_second: how many may come in a second; 0 is no limit.
            on_no_room: told when the machine has no room for another connection.
        """
        self._listener = listener
        self._connect = connect
        self._on_no_room = on_no_room
        self._loop = asyncio.get_running_loop()
        self._rate = Rate(per_second, now=self._loop.time())
        self._later: asyncio.TimerHandle | None = None
        self._opening: set[asyncio.Task[object]] = set()

    def start(self, backlog: int) -> None:
        """Listens, and lets connections in."""
        self._listener.setblocking(False)
        self._listener.listen(backlog)
        self._go_on()

    def close(self) -> None:
        """Lets nobody in any more; who waits in the backlog is the next process's, if it has the socket too."""
        self._pause()
        self._listener.close()

    def _go_on(self) -> None:
        self._later = None
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def _pause(self, seconds: float | None = None) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._listener.fileno() >= 0:
            self._loop.remove_reader(self._listener.fileno())
        if seconds is not None:
            self._later = self._loop.call_later(seconds, self._go_on)

    def _accept(self) -> None:
        allowed = self._rate.allowed(self._loop.time())
        for count in range(allowed):
            try:
                connection, _ = self._listener.accept()
            except OSError as error:
                self._rate.took(count)
                if error.errno in NO_ROOM:
                    self._on_no_room(error)
                    self._pause(PAUSE)
                # Else nobody waits any more, or somebody went away who did.
                return
            connection.setblocking(False)
            self._open(connection)
        self._rate.took(allowed)
        if allowed < AT_ONCE:
            self._pause(self._rate.wait())

    def _open(self, connection: socket.socket) -> None:
        opening: asyncio.Task[object] = self._loop.create_task(self._opened(connection))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)

    async def _opened(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it went away
            await self._loop.connect_accepted_socket(self._connect, connection)
