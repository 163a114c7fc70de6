"""Clients that follow a server under test and keep what they were given."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

from tidewire._http import AsyncTiming
from tidewire.client import AsyncClient, ClientError, Gap, LiveState

PATIENCE = 10.0
"""Seconds until a test gives up: far beyond what anything takes, also on a busy machine."""

LONGEST_PAUSE = 0.02


async def _short_sleep(seconds: float) -> None:
    """Retries as often as a real client, but in no time."""
    await asyncio.sleep(min(seconds, LONGEST_PAUSE))


class RecordedClient:
    """One client, on the server's thread.

    Attributes:
        events: what it was given, in order.
        gaps: where it was told that something may be missing.
        failures: what it tried again after.
        state: what its state is, if it keeps one.
    """

    def __init__(self, url: str, *, email: str, api_key: str, state: LiveState | None = None) -> None:
        self.events: list[dict[str, Any]] = []
        self.gaps: list[Gap] = []
        self.failures: list[ClientError] = []
        self.state = state
        self._changed = threading.Condition()
        self._client = AsyncClient(url, email=email, api_key=api_key, _timing=AsyncTiming(sleep=_short_sleep))
        self._task: asyncio.Task[None] | None = None

    async def begin(self, **asked: Any) -> None:
        """Registers, and follows from then on."""
        stream = self._client.events(
            on_gap=self._note_gap,
            on_retry=lambda error, _: self._note_failure(error),
            state=self.state,
            **asked,
        )
        await stream
        self._task = asyncio.create_task(self._follow(stream))

    async def end(self) -> None:
        """Stops following and deletes the queue."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ClientError):
                await self._task
        await self._client.close()

    def wait_for(self, count: int) -> list[dict[str, Any]]:
        """Waits until so many events have come, and returns all that have.

        Raises:
            AssertionError: they did not come.
        """
        self.wait_until(lambda: len(self.events) >= count, what=f"{count} events")
        return list(self.events)

    def wait_until(self, has_come: Callable[[], bool], *, what: str = "it") -> None:
        """Waits until something holds; it is looked at after each event, gap and failure.

        Raises:
            AssertionError: it did not come to that.
        """
        with self._changed:
            if not self._changed.wait_for(has_come, PATIENCE):
                raise AssertionError(
                    f"{what} did not come within {PATIENCE:g} s; the client has {self.events}, gaps {self.gaps} "
                    f"and failures {self.failures}"
                )

    async def _follow(self, stream: Any) -> None:
        async for event in stream:
            self._note(self.events, event)

    def _note_gap(self, gap: Gap) -> None:
        self._note(self.gaps, gap)

    def _note_failure(self, error: ClientError) -> None:
        self._note(self.failures, error)

    def _note(self, notes: list[Any], note: object) -> None:
        with self._changed:
            notes.append(note)
            self._changed.notify_all()
