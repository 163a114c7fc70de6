"""State from the application's own functions, in this process."""

import asyncio
import inspect
from collections.abc import Callable, Iterable, Sequence

from tidewire.core.errors import StateUnavailable
from tidewire.initial_state import Asked, Event, State, StateProvider

ReportFailure = Callable[[str, str, Exception], None]
"""Told which provider's fetch type, what it was doing, and what it raised."""


class FunctionsSource:
    """The providers that an application has in this process."""

    def __init__(self, providers: Iterable[StateProvider], *, report: ReportFailure) -> None:
        self._providers = tuple(providers)
        self._report = report

    async def read(self, asked: Asked) -> "FunctionsDraft":
        """Reads every part that was asked for, one after the other, so that one request is one reader.

        Raises:
            StateUnavailable: a provider failed.
        """
        parts = [
            (provider, await self._read(provider, asked))
            for provider in self._providers
            if asked.wants(provider.fetch_type)
        ]
        return FunctionsDraft(parts, report=self._report)

    async def _read(self, provider: StateProvider, asked: Asked) -> State:
        try:
            if inspect.iscoroutinefunction(provider.read):
                state = await provider.read(asked)
            else:
                found = await asyncio.to_thread(provider.read, asked)
                state = await found if inspect.isawaitable(found) else found
            if not isinstance(state, dict):
                raise TypeError(f"read gave a {type(state).__name__}, not a dict")  # noqa: TRY301 - as if it had raised
        except Exception as error:  # the application's code may raise anything
            self._report(provider.fetch_type, "read", error)
            raise StateUnavailable(f"The state {provider.fetch_type} can't be read now") from error
        return state


class FunctionsDraft:
    """An initial state that the application's functions have read."""

    def __init__(self, parts: Sequence[tuple[StateProvider, State]], *, report: ReportFailure) -> None:
        self._parts = parts
        self._report = report
        self.event_types = frozenset[str]().union(*(provider.event_types for provider, _ in parts))

    @property
    def state(self) -> State:
        """All members of the state."""
        whole: State = {}
        for _, state in self._parts:
            whole |= state
        return whole

    async def apply(self, events: Sequence[Event]) -> int:
        """Applies events to each part that they concern, until one fails (D-34)."""
        for count, event in enumerate(events):
            for provider, state in self._parts:
                if event["type"] not in provider.event_types:
                    continue
                try:
                    provider.apply(state, event)
                except Exception as error:  # noqa: BLE001 - the application's code may raise anything
                    self._report(provider.fetch_type, "apply", error)
                    return count
        return len(events)
