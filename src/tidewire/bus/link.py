"""A connection that comes back: whenever it is lost, another is made and everything is set up on it anew (R8.11)."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from structlog.typing import FilteringBoundLogger

from tidewire._amqp import BrokerLost, Connection
from tidewire._http import Backoff

FIRST_DELAY, LONGEST_DELAY = 0.1, 2.0
WARNED = 10
"""Failures in a row that are warnings; those that follow are errors."""


class Link:
    """One connection, from `start` to `stop`."""

    def __init__(
        self,
        *,
        name: str,
        connect: Callable[[], Awaitable[Connection]],
        set_up: Callable[[Connection], Awaitable[None]],
        on_up: Callable[[bool], None],
        chance: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        """Takes what it needs.

        Args:
            name: of the connection, for the log.
            connect: opens one.
            set_up: makes it useful; may raise `BrokerLost`.
            on_up: told when it is set up (True), and when it is lost.
            chance: a number from 0 up to 1, to spread attempts.
            log: where to write.
        """
        self._name = name
        self._connect = connect
        self._set_up = set_up
        self._on_up = on_up
        self._log = log
        self._backoff = Backoff(first=FIRST_DELAY, limit=LONGEST_DELAY, random=chance)
        self._failures = 0
        self._connection: Connection | None = None
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to connect."""
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
                self._log.exception("bus failed", connection=self._name)
                reason = type(error).__name__
            self._failures += 1
            level = self._log.warning if self._failures <= WARNED else self._log.error
            level("bus is away", connection=self._name, reason=reason, failures=self._failures)
            await asyncio.sleep(self._backoff.next_delay())

    async def _live(self) -> str:
        """One connection's life; returns why it ended."""
        connection = await self._connect()
        try:
            await self._set_up(connection)
            self._failures = 0
            self._backoff.reset()
            self._log.info("bus is there", connection=self._name)
            self._on_up(True)
            return await asyncio.shield(connection.closed)
        finally:
            self._on_up(False)
            await connection.close()
