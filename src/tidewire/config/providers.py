"""Finds the state providers of an application, which the setting `state.modules` names as `module:NAME` each."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

from tidewire.config.naming import Named
from tidewire.initial_state import StateProvider

KEY = "state.modules"


def load_providers(names: Iterable[str], *, directory: Path | None = None) -> tuple[StateProvider, ...]:
    """The providers, in the order of their names.

    Args:
        names: `module:NAME` each. NAME is a provider, a list of them, or a function without parameters that gives
            either.
        directory: where modules are looked for after the installed ones; by default the working directory.

    Raises:
        ConfigError: there is no such module or name, what it names is something else, or two serve the same type.
    """
    providers: dict[str, StateProvider] = {}
    for name in names:
        named = Named(KEY, name, "providers")
        for provider in _providers(named, directory):
            if provider.fetch_type in providers:
                raise named.wrong(
                    "one provider for each fetch type", f"a second one for {provider.fetch_type!r}"
                )
            providers[provider.fetch_type] = provider
    return tuple(providers.values())


def _providers(named: Named, directory: Path | None) -> Sequence[StateProvider]:
    found = named.load(directory)
    if callable(found) and not _is_provider(found):
        found = named.call(found, directory)
    listed = list(found) if isinstance(found, list | tuple) else [found]
    for item in listed:
        if not _is_provider(item):
            expected = "a provider (`tidewire.initial_state.Provider`), or a list of them"
            raise named.wrong(expected, f"a value of type {type(item).__name__}")
    return cast("list[StateProvider]", listed)


def _is_provider(value: object) -> bool:
    return (
        not isinstance(value, type)
        and isinstance(getattr(value, "fetch_type", None), str)
        and isinstance(getattr(value, "event_types", None), frozenset)
        and callable(getattr(value, "read", None))
        and callable(getattr(value, "apply", None))
    )
