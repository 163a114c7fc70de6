"""The state of a client: what `register` answered with, and every event since."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from tidewire.state import Apply, Event, State, apply_event, apply_events, keyed, latest, members

__all__ = [
    "Apply",
    "Event",
    "LiveState",
    "State",
    "apply_event",
    "apply_events",
    "keyed",
    "latest",
    "members",
]

ENVELOPE = frozenset(
    {
        "ignored_parameters_unsupported",
        "last_event_id",
        "msg",
        "queue_id",
        "result",
        "idle_queue_timeout_secs",
    }
)
"""Members of the answer to `register` that are no state."""


class LiveState(Mapping[str, Any]):
    """A mapping that `events(state=...)` keeps up to date.

    It holds each event's change when the loop is given that event. When the queue has to be registered anew, the
    state is the new answer's: it shows whatever the lost events did.

    Args:
        apply: for each fetch type the function that takes an event into the state (`tidewire.state`).
        on_change: is called with the state when it is there, and after each event.
    """

    def __init__(
        self, apply: Mapping[str, Apply], on_change: Callable[[Mapping[str, Any]], object] | None = None
    ) -> None:
        self._apply = dict(apply)
        self._on_change = on_change
        self._held: Mapping[str, Any] = MappingProxyType({})

    @property
    def fetch_types(self) -> list[str]:
        """What is asked of `register`."""
        return list(self._apply)

    def begin(self, members: Mapping[str, Any]) -> None:
        """Takes a whole state in place of the one before."""
        self._held = {name: value for name, value in members.items() if name not in ENVELOPE}
        self._tell()

    def take(self, event: Mapping[str, Any]) -> None:
        """Applies one event to the state."""
        self._held = apply_event(self._apply, self._held, event)
        self._tell()

    def _tell(self) -> None:
        if self._on_change is not None:
            self._on_change(self)

    def __getitem__(self, member: str) -> Any:
        return self._held[member]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __repr__(self) -> str:
        return f"LiveState({dict(self._held)!r})"
