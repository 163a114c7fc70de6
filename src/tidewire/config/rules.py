"""Finds the merge rules of an application, which the setting `queues.rules` names as `module:NAME`."""

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import cast

from tidewire.config.problems import ConfigError, Problem
from tidewire.core.merge import MergeRule, merge_table

KEY = "queues.rules"
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
    with _looking_in(directory or Path.cwd()):
        found = _named(name)
        if callable(found) and not isinstance(found, Mapping):
            found = _called(name, found)
    rules = _checked(name, found)
    try:
        merge_table(rules)
    except ValueError as error:
        raise _wrong(name, "rules for other types", str(error)) from None
    return rules


@contextlib.contextmanager
def _looking_in(directory: Path) -> Iterator[None]:
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


def _named(name: str) -> object:
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise _failed(name, "importing the module", error) from error
        expected = "a module in the working directory or installed where Tidewire is"
        raise _wrong(name, expected, f"no module {error.name!r}") from None
    except Exception as error:
        raise _failed(name, "importing the module", error) from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise _wrong(name, f"a name in {module.__file__}", f"no {attribute!r} there") from None


def _called(name: str, function: Callable[[], object]) -> object:
    try:
        return function()
    except Exception as error:
        raise _failed(name, "calling it", error) from error


def _checked(name: str, found: object) -> Mapping[str, MergeRule]:
    if not isinstance(found, Mapping):
        expected = "a mapping from event type to merge rule, or a function that gives one"
        raise _wrong(name, expected, f"a value of type {type(found).__name__}")
    for kind, rule in found.items():
        if not isinstance(kind, str) or not kind:
            raise _wrong(name, "event types that are strings", f"the type {kind!r}")
        if isinstance(rule, type):
            raise _wrong(name, f"a rule made of it, {rule.__name__}(...)", f"the class itself for {kind!r}")
        missing = [method for method in METHODS if not callable(getattr(rule, method, None))]
        if missing:
            expected = f"a rule with the methods {', '.join(METHODS)}"
            raise _wrong(name, expected, f"{type(rule).__name__} without {missing[0]} for {kind!r}")
    return MappingProxyType(cast("dict[str, MergeRule]", dict(found)))


def _failed(name: str, doing: str, error: Exception) -> ConfigError:
    """The traceback of the cause is shown with `--debug`."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return _wrong(name, "rules that can be loaded (--debug shows where it failed)", f"{doing} raised {text}")


def _wrong(name: str, expected: str, found: str) -> ConfigError:
    return ConfigError([Problem(name, KEY, expected, found)])
