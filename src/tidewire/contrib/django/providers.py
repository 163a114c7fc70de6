"""State providers, declared next to the models that they read."""

import inspect
from collections.abc import Awaitable
from dataclasses import dataclass

from django.apps import apps
from django.db import close_old_connections

from tidewire.initial_state import Asked, Event, State, StateProvider


def provide(provider: StateProvider) -> StateProvider:
    """Declares a provider, in `contrib/django/models.py` or in a module `live.py` of an application.

    Raises:
        ValueError: another serves the same fetch type.
    """
    providers = registered()
    if providers.setdefault(provider.fetch_type, provider) is not provider:
        raise ValueError(f"There is a provider of {provider.fetch_type!r} already")
    return provider


def registered() -> dict[str, StateProvider]:
    """The providers by fetch type."""
    found: dict[str, StateProvider] = apps.get_app_config("tidewire").providers
    return found


@dataclass(frozen=True, slots=True)
class _BetweenRequests:
    """A provider that reads outside of a request, where Django would not look after its connections."""

    provider: StateProvider

    @property
    def fetch_type(self) -> str:
        return self.provider.fetch_type

    @property
    def event_types(self) -> frozenset[str]:
        return self.provider.event_types

    def read(self, asked: Asked) -> State | Awaitable[State]:
        close_old_connections()
        try:
            return self.provider.read(asked)
        finally:
            close_old_connections()

    def apply(self, state: State, event: Event) -> None:
        self.provider.apply(state, event)


def in_this_process() -> list[StateProvider]:
    """The providers for a server in this process, which calls them on threads of its own."""
    return [
        provider if inspect.iscoroutinefunction(provider.read) else _BetweenRequests(provider)
        for provider in registered().values()
    ]
