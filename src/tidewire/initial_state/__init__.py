"""The initial state that `register` answers with: what an application provides, and how events change it.

A *provider* serves one fetch type. It reads that part of the application's state for a user, and says how an event
changes it. Reading takes time, and events come meanwhile; the server applies them to what was read. So `apply` may be
given an event whose change the state already shows, and must then change nothing (R7.4).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from tidewire.core.users import Realm, User

State: TypeAlias = dict[str, Any]
"""Members of the answer to `register`: anything that JSON has."""

Event: TypeAlias = Mapping[str, Any]
"""An event as the client would get it."""

WITHOUT_EFFECT = frozenset(
    {
        "attachment",
        "heartbeat",
        "invites_changed",
        "reaction",
        "realm_export",
        "restart",
        "submessage",
        "typing",
        "typing_edit_message",
    }
)
"""Types that change no state (R7.5)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A registration, as a provider sees it.

    Attributes:
        user: whose state is read.
        realm: the user's, if the server knows it.
        queue_id: the queue that gets the events from now on.
        fetch_types: the parts that were asked for; None is all.
        event_types: the events that the queue gets; None is all.
        options: what the client said about the form: `apply_markdown`, `client_gravatar`, `slim_presence`,
            `include_subscribers`, `presence_history_limit_days`.
    """

    user: User
    realm: Realm | None
    queue_id: str
    fetch_types: frozenset[str] | None = None
    event_types: tuple[str, ...] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def wants(self, fetch_type: str) -> bool:
        """Whether the part was asked for."""
        return self.fetch_types is None or fetch_type in self.fetch_types


class StateProvider(Protocol):
    """Serves one fetch type."""

    @property
    def fetch_type(self) -> str:
        """The name by which clients ask for it."""
        ...

    @property
    def event_types(self) -> frozenset[str]:
        """The types of event that `apply` knows; others are left for the client."""
        ...

    def read(self, asked: Asked, /) -> State | Awaitable[State]:
        """The state now, as new values that nobody else changes.

        A plain function is called on another thread, so it may wait for a database.
        """
        ...

    def apply(self, state: State, event: Event, /) -> None:
        """Changes what `read` gave, as the event says; does nothing when that shows already."""
        ...


def no_change(_state: State, _event: Event) -> None:
    """The `apply` of a state that no event changes."""


def by_rule(rule: Callable[[State, Event], Mapping[str, Any]]) -> Callable[[State, Event], None]:
    """The `apply` of a state that a rule of `tidewire.state` keeps, as clients keep it by the same rule."""

    def apply(state: State, event: Event) -> None:
        state.update(rule(state, event))

    return apply


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """A `StateProvider` made of functions."""

    fetch_type: str
    read: Callable[[Asked], State | Awaitable[State]]
    event_types: frozenset[str] = frozenset()
    apply: Callable[[State, Event], None] = no_change


class Draft(Protocol):
    """State that was read, and can still be changed."""

    @property
    def state(self) -> State:
        """The members of the answer."""
        ...

    @property
    def event_types(self) -> frozenset[str]:
        """The types that `apply` knows."""
        ...

    async def apply(self, events: Sequence[Event]) -> int:
        """Applies events of these types, in order; returns how many, from the first, the state shows now."""
        ...


class StateSource(Protocol):
    """Where state comes from: functions, the application over HTTP, the users file, or several of these."""

    async def read(self, asked: Asked) -> Draft:
        """Reads what was asked for, as far as this source has it.

        Raises:
            StateUnavailable: it can't be read.
        """
        ...
