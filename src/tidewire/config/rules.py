"""Finds the merge rules of an application, which the setting `queues.rules` names as `module:NAME`."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import cast

from tidewire.config.naming import Named
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
    named = Named(KEY, name, "rules")
    found = named.load(directory)
    if callable(found) and not isinstance(found, Mapping):
        found = named.call(found, directory)
    rules = _checked(named, found)
    try:
        merge_table(rules)
    except ValueError as error:
        raise named.wrong("rules for other types", str(error)) from None
    return rules


def _checked(named: Named, found: object) -> Mapping[str, MergeRule]:
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
