"""A connection that comes back: whenever it is lost, another is made and everything is set up on it anew (R8.11).

Attempts follow each other ever more slowly, until a connection has lasted for a while: one that is lost as soon as it stands is
no better than one that can't be had.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from structlog.typing import FilteringBoundLogger

from tidewire._amqp.broker import BrokerLost, Connection
from tidewire._http import Backoff

FIRST_DELAY, LONGEST_DELAY = 0.1, 2.0
STEADY_AFTER = 10.0
"""Seconds that a connection must have stood for the next attempts to begin anew."""


class Reconnecting:
    """One connection, from `start` to `stop`."""

    def __init__(
        self,
        *,
        name: str,
        connect: Callable[[], Awaitable[Connection]],
        set_up: Callable[[Connection], Awaitable[None]],
        on_up: Callable[[bool], None],
        on_failure: Callable[[str], None],
        chance: Callable[[], float],
        timer: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        """Takes what it needs.

        Args:
            name: of the connection, for the log.
            connect: opens one.
            set_up: makes it useful; may raise `BrokerLost`.
            on_up: told when it is set up (True), and when it is lost.
            on_failure: told why it was lost, or could not be made.
            chance: a number from 0 up to 1, to spread attempts.
            timer: seconds of any clock that does not go back.
            log: where to write of faults.
        """
        self._name = name
        self._connect = connect
        self._set_up = set_up
        self._on_up = on_up
        self._on_failure = on_failure
        self._timer = timer
        self._log = log
        self._backoff = Backoff(first=FIRST_DELAY, limit=LONGEST_DELAY, random=chance)
        self._fault = ""
        """The last fault of ours that was written: the same again and again is one entry."""
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to connect; returns at once."""
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Closes the connection, and makes no other."""
        if self._running is None:
            return
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running
        self._running = None

    async def _run(self) -> None:
        while True:
            try:
                reason = await self._live()
            except BrokerLost as error:
                reason = str(error)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt must come
                reason = f"fault of the server: {type(error).__name__}"
                if reason != self._fault:
                    self._fault = reason
                    self._log.exception("bus failed", connection=self._name)
            self._on_failure(reason)
            await asyncio.sleep(self._backoff.next_delay())

    async def _live(self) -> str:
        """One connection's life; returns why it ended."""
        connection = await self._connect()
        stood_at: float | None = None
        try:
            await self._set_up(connection)
            stood_at = self._timer()
            self._on_up(True)
            return await asyncio.shield(connection.closed)
        finally:
            if stood_at is not None and self._timer() - stood_at >= STEADY_AFTER:
                self._backoff.reset()
                self._fault = ""
            try:
                self._on_up(False)
            finally:
                await connection.close()
