"""Finds what settings name in an application's own modules as `module:NAME`: merge rules and state providers."""

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import cast

from tidewire.config.checks import ConfigError, Problem
from tidewire.core.events.coalescing import MergeRule, merge_table
from tidewire.initial_state import StateProvider

PATTERN = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*"
"""How it is written."""


@dataclass(frozen=True, slots=True)
class ImportString:
    """A name in a setting.

    Attributes:
        key: the setting.
        name: `module:NAME`.
        what: what it should name, in one word.
    """

    key: str
    name: str
    what: str

    def load(self, directory: Path | None = None) -> object:
        """What the name stands for.

        Args:
            directory: where modules are looked for after the installed ones; by default the working directory.

        Raises:
            ConfigError: there is no such module or name.
        """
        with looking_in(directory or Path.cwd()):
            return self._found()

    def call(self, function: Callable[[], object], directory: Path | None = None) -> object:
        """What a function gives.

        Raises:
            ConfigError: it failed.
        """
        with looking_in(directory or Path.cwd()):
            try:
                return function()
            except Exception as error:
                raise self._failed("calling it", error) from error

    def wrong(self, expected: str, found: str) -> ConfigError:
        """The error that says so."""
        return ConfigError([Problem(self.name, self.key, expected, found)])

    def _found(self) -> object:
        module_name, _, attribute = self.name.partition(":")
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
                raise self._failed("importing the module", error) from error
            expected = "a module in the working directory or installed where Tidewire is"
            raise self.wrong(expected, f"no module {error.name!r}") from None
        except Exception as error:
            raise self._failed("importing the module", error) from error
        try:
            return getattr(module, attribute)
        except AttributeError:
            raise self.wrong(f"a name in {module.__file__}", f"no {attribute!r} there") from None

    def _failed(self, doing: str, error: Exception) -> ConfigError:
        """The traceback of the cause is shown with `--debug`."""
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return self.wrong(
            f"{self.what} that can be loaded (--debug shows where it failed)", f"{doing} raised {text}"
        )


@contextlib.contextmanager
def looking_in(directory: Path) -> Iterator[None]:
    """Looks for modules in a directory too, but last: what lies there hides no installed module."""
    path = str(directory)
    sys.path.append(path)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.reverse()
        sys.path.remove(path)
        sys.path.reverse()


RULES_KEY = "queues.rules"


METHODS = ("key", "closes", "merge")


def load_rules(name: str, *, directory: Path | None = None) -> Mapping[str, MergeRule]:
    """The merge rules by event type.

    Args:
        name: `module:NAME`; empty for none. NAME is a mapping from type to rule, or a function without parameters
            that gives one.
        directory: where modules are looked for after the installed ones; by default the working directory.

    Raises:
        ConfigError: there is no such module or name, or what it names is no such mapping.
    """
    if not name:
        return MappingProxyType({})
    named = ImportString(RULES_KEY, name, "rules")
    found = named.load(directory)
    if callable(found) and not isinstance(found, Mapping):
        found = named.call(found, directory)
    rules = _checked(named, found)
    try:
        merge_table(rules)
    except ValueError as error:
        raise named.wrong("rules for other types", str(error)) from None
    return rules


def _checked(named: ImportString, found: object) -> Mapping[str, MergeRule]:
    if not isinstance(found, Mapping):
        expected = "a mapping from event type to merge rule, or a function that gives one"
        raise named.wrong(expected, f"a value of type {type(found).__name__}")
    for kind, rule in found.items():
        if not isinstance(kind, str) or not kind:
            raise named.wrong("event types that are strings", f"the type {kind!r}")
        if isinstance(rule, type):
            raise named.wrong(f"a rule made of it, {rule.__name__}(...)", f"the class itself for {kind!r}")
        missing = [method for method in METHODS if not callable(getattr(rule, method, None))]
        if missing:
            expected = f"a rule with the methods {', '.join(METHODS)}"
            raise named.wrong(expected, f"{type(rule).__name__} without {missing[0]} for {kind!r}")
    return MappingProxyType(cast("dict[str, MergeRule]", dict(found)))


PROVIDERS_KEY = "state.modules"


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
        named = ImportString(PROVIDERS_KEY, name, "providers")
        for provider in _providers(named, directory):
            if provider.fetch_type in providers:
                raise named.wrong(
                    "one provider for each fetch type", f"a second one for {provider.fetch_type!r}"
                )
            providers[provider.fetch_type] = provider
    return tuple(providers.values())


def _providers(named: ImportString, directory: Path | None) -> Sequence[StateProvider]:
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
