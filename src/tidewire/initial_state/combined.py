"""Several sources as one: what each read is put together, and events are applied to all of it."""

import asyncio
from collections.abc import Sequence

from tidewire.core.errors import StateUnavailable
from tidewire.initial_state import WITHOUT_EFFECT, Asked, Draft, Event, State, StateSource


class Assembly:
    """A source made of sources; of members with the same name, the later source's count."""

    def __init__(self, sources: Sequence[StateSource], *, timeout: float) -> None:
        """Takes the sources and the seconds that all of them have together."""
        self._sources = tuple(sources)
        self._timeout = timeout

    async def read(self, asked: Asked) -> "AssembledDraft":
        """Reads from all sources at once.

        Raises:
            StateUnavailable: one of them failed, or there was not time enough.
        """
        try:
            async with asyncio.timeout(self._timeout), asyncio.TaskGroup() as group:
                reading = [group.create_task(source.read(asked)) for source in self._sources]
        except TimeoutError:
            raise StateUnavailable(f"The state was not read within {self._timeout:g} seconds") from None
        except BaseExceptionGroup as group_error:
            raise _first(group_error) from None
        return AssembledDraft([task.result() for task in reading])


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


class AssembledDraft:
    """An initial state that is read from several sources."""

    def __init__(self, drafts: Sequence[Draft]) -> None:
        self._drafts = drafts

    @property
    def state(self) -> State:
        """All members of the state."""
        whole: State = {}
        for draft in self._drafts:
            whole |= draft.state
        return whole

    @property
    def event_types(self) -> frozenset[str]:
        """The types that any of them knows."""
        return frozenset[str]().union(*(draft.event_types for draft in self._drafts))

    async def apply(self, events: Sequence[Event]) -> int:
        """Applies events as far as each is known to somebody or changes nothing; returns how many (R7.7).

        What comes behind the first one that can't be applied stays for the client, with that one. So no event is
        passed over that nobody has taken in, and what the client is given is the state at one moment.
        """
        known = self.event_types
        if not known:
            return 0
        known |= WITHOUT_EFFECT
        through = next((at for at, event in enumerate(events) if event["type"] not in known), len(events))
        for draft in self._drafts:
            places = [at for at in range(through) if events[at]["type"] in draft.event_types]
            done = await draft.apply([events[at] for at in places]) if places else 0
            if done < len(places):
                # Others may have applied more than this; it does them no harm to be told again (R7.4).
                through = places[done]
        return through
