"""Merge rules: which waiting events become one, and what ends a merge.

`MERGE_RULES` is the table of the protocol's own event types. The classes after it (`LatestByKey`, `Union`, `AddRemove`,
`Counter`) are rules that an application can use for its own types. Merged events must leave a client in the state in which
the single events would have left it; `tidewire.testing.rules` proves that for a rule.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeAlias

import msgspec

Event: TypeAlias = Mapping[str, Any]


class MergeRule(Protocol):
    """How waiting events of one type are compressed.

    A rule may have an attribute `version`: see `describe_rule`.
    """

    def key(self, event: Event) -> str | None:
        """The group that the event joins, or None when it stands alone."""

    def closes(self, event: Event, open_keys: Collection[str]) -> Collection[str]:
        """Those of the open groups that the event ends, so that later events start others.

        It is asked for every event of the type, and before the event joins its own group.
        """

    def merge(self, events: Sequence[Event]) -> Mapping[str, Any] | Sequence[Mapping[str, Any]]:
        """One event in place of several of one group, which are in the order in which they came.

        It may also be a list of events, never more than there were, when one can't say it all.
        """


class FlagChanges:
    """`update_message_flags`: changes of one flag in one direction join their lists of messages.

    Removals of `read` stay apart, because each carries details that belong to its messages (R1.6), and so do
    changes of all messages. Any change closes the open group of the opposite direction on its flag (R1.15),
    so that the last change of a message stays the last. Changes in the same direction may pass each other:
    whatever their order, they leave the same flags.
    """

    def key(self, event: Event) -> str | None:
        """R1.5 and R1.6; an event without a list of messages or a named flag can't be merged."""
        mergeable = isinstance(event.get("messages"), list) and isinstance(event.get("flag"), str)
        if event.get("all") or not mergeable:
            return None
        key = f"flags/{_operation(event)}/{event.get('flag')}"
        return None if key.startswith("flags/remove/read") else key

    def closes(self, event: Event, open_keys: Collection[str]) -> Collection[str]:
        """Returns the open groups that this event contradicts, which a read then seals (R1.15)."""
        ended = []
        for key in open_keys:
            _, operation, flag = key.split("/", 2)
            if flag == str(event.get("flag")) and operation != _operation(event):
                ended.append(key)
        return ended

    def merge(self, events: Sequence[Event]) -> dict[str, Any]:
        """R1.9: all messages in order, the newest time, everything else from the first event."""
        merged = dict(events[0])
        merged["messages"] = [message for event in events for message in event["messages"]]
        for event in events:
            if "timestamp" in event:
                merged["timestamp"] = event["timestamp"]
        return merged


def _operation(event: Event) -> str:
    """The older name `operation` counts; producers that only write `op` are understood (R1.5)."""
    return str(event.get("operation", event.get("op")))


MERGE_RULES: Mapping[str, MergeRule] = MappingProxyType({"update_message_flags": FlagChanges()})
"""The built-in rules, by event type."""


class RuleFailure(NamedTuple):
    """A rule failed; its events were delivered all the same, each on its own."""

    kind: str
    """The type that the rule belongs to."""
    times: int
    """How often it failed since that was last asked."""
    error: Exception
    """How it failed first."""


def merge_table(own: Mapping[str, MergeRule]) -> Mapping[str, MergeRule]:
    """The built-in rules and an application's.

    Raises:
        ValueError: a type has a built-in rule. Clients rely on what that does, so it can't be replaced.
    """
    taken = sorted(own.keys() & MERGE_RULES.keys())
    if taken:
        raise ValueError(f"the type {taken[0]!r} has a built-in merge rule, which can't be replaced")
    return MappingProxyType({**MERGE_RULES, **own})


def describe_rule(rule: MergeRule) -> str:
    """A name for what the rule does: equal for rules that merge alike, also in another process.

    Groups that were formed under one name are not merged under another. The name is the class with the rule's
    `repr`, where it has one of its own, and with its attribute `version`, which its author changes when it is to
    merge differently.
    """
    kind = type(rule)
    name = f"{kind.__module__}.{kind.__qualname__}"
    shown = "" if kind.__repr__ is object.__repr__ else f" {rule!r}"
    version = getattr(rule, "version", None)
    return name + shown + ("" if version is None else f" version {version}")


def describe_rules(rules: Mapping[str, MergeRule]) -> dict[str, str]:
    """What an application's rules are called, by type; the built-in ones are the server's version."""
    return {kind: describe_rule(rule) for kind, rule in rules.items() if kind not in MERGE_RULES}


_ENCODER = msgspec.json.Encoder(order="deterministic")


class _ByKey:
    """What the rules have in common: which events wait together, and what ends their waiting."""

    __slots__ = ()

    key_fields: tuple[str, ...]

    def _understands(self, event: Event) -> bool:
        return _has(event, self.key_fields)

    def key(self, event: Event) -> str | None:
        """What the event is about; values of other JSON types are other things."""
        if not self._understands(event):
            return None
        return _ENCODER.encode([event[field] for field in self.key_fields]).decode()

    def closes(self, event: Event, open_keys: Collection[str]) -> Collection[str]:
        """Everything, when the event isn't understood."""
        return () if self._understands(event) else open_keys


@dataclass(frozen=True, kw_only=True, slots=True)
class LatestByKey(_ByKey):
    """Each event says the whole state of one thing, so the newest one is enough.

    Attributes:
        key_fields: the members that say which thing; none of them: the type has a single state.
    """

    key_fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks the parameters.

        Raises:
            TypeError, ValueError: one of them can't be used.
        """
        _check_names("key_fields", self.key_fields)

    def merge(self, events: Sequence[Event]) -> dict[str, Any]:
        """Returns the newest of the events."""
        return dict(events[-1])


@dataclass(frozen=True, kw_only=True, slots=True)
class Union(_ByKey):
    """Each event adds the elements of a list to a set, or to a list that takes each element once.

    Attributes:
        list_field: the member that holds the list.
        key_fields: the members that say to which set.
    """

    list_field: str
    key_fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks the parameters.

        Raises:
            TypeError, ValueError: one of them can't be used.
        """
        _check_name("list_field", self.list_field)
        _check_names("key_fields", self.key_fields)

    def merge(self, events: Sequence[Event]) -> dict[str, Any]:
        """All elements, each once, in the order in which they first came."""
        elements: dict[bytes, Any] = {}
        for event in events:
            for element in event[self.list_field]:
                elements.setdefault(_ENCODER.encode(element), element)
        return {**events[-1], self.list_field: list(elements.values())}

    def _understands(self, event: Event) -> bool:
        return isinstance(event.get(self.list_field), list) and _has(event, self.key_fields)


@dataclass(frozen=True, kw_only=True, slots=True)
class AddRemove(_ByKey):
    """Each event adds the elements of a list to a set, or removes them from it.

    What was done to an element and undone again while it waited is cancelled: only what was done last is told,
    though that always, because the client may have the element, or lack it, from before. So a group becomes
    two events at most.

    Attributes:
        list_field: the member that holds the list.
        key_fields: the members that say which set.
        op_field: the member that says which of the two.
        add: its value in an event that adds.
        remove: its value in an event that removes.
    """

    list_field: str
    key_fields: tuple[str, ...] = ()
    op_field: str = "op"
    add: str = "add"
    remove: str = "remove"

    def __post_init__(self) -> None:
        """Checks the parameters.

        Raises:
            TypeError, ValueError: one of them can't be used.
        """
        _check_name("list_field", self.list_field)
        _check_names("key_fields", self.key_fields)
        _check_name("op_field", self.op_field)
        _check_name("add", self.add)
        _check_name("remove", self.remove)
        if self.add == self.remove:
            raise ValueError(f"add and remove must differ, both are {self.add!r}")
        if self.list_field == self.op_field or {self.list_field, self.op_field} & set(self.key_fields):
            raise ValueError("list_field, op_field and key_fields must be different members")

    def merge(self, events: Sequence[Event]) -> list[dict[str, Any]]:
        """One event with what was removed last and one with what was added last, as far as there is any."""
        last: dict[bytes, tuple[str, Any]] = {}
        newest: dict[str, Event] = {}
        for event in events:
            op = event[self.op_field]
            newest[op] = event
            for element in event[self.list_field]:
                name = _ENCODER.encode(element)
                last.pop(name, None)
                last[name] = (op, element)
        merged = []
        for op in (self.remove, self.add):
            elements = [element for done, element in last.values() if done == op]
            if elements:
                merged.append({**newest[op], self.list_field: elements})
        return merged or [dict(events[-1])]

    def _understands(self, event: Event) -> bool:
        return (
            isinstance(event.get(self.list_field), list)
            and event.get(self.op_field) in (self.add, self.remove)
            and _has(event, self.key_fields)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Counter(_ByKey):
    """Each event adds a whole number to a count.

    Fractions are not understood: their sum depends on how it is grouped.

    Attributes:
        number_field: the member that holds the number; it may be negative.
        key_fields: the members that say which count.
    """

    number_field: str
    key_fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks the parameters.

        Raises:
            TypeError, ValueError: one of them can't be used.
        """
        _check_name("number_field", self.number_field)
        _check_names("key_fields", self.key_fields)

    def merge(self, events: Sequence[Event]) -> dict[str, Any]:
        """Returns the newest event with the sum of the counters."""
        return {**events[-1], self.number_field: sum(event[self.number_field] for event in events)}

    def _understands(self, event: Event) -> bool:
        number = event.get(self.number_field)
        return isinstance(number, int) and not isinstance(number, bool) and _has(event, self.key_fields)


def _has(event: Event, fields: tuple[str, ...]) -> bool:
    for field in fields:  # noqa: SIM110 - asked for each queue, and a generator takes twice the time
        if field not in event:
            return False
    return True


def _check_name(parameter: str, name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"{parameter} must be a string, not {name!r}")
    if not name:
        raise ValueError(f"{parameter} must not be empty")


def _check_names(parameter: str, names: object) -> None:
    # A lone string is a tuple whose comma was forgotten, and would be taken letter by letter.
    if not isinstance(names, tuple):
        raise TypeError(f'{parameter} must be a tuple of names such as ("user_id",), not {names!r}')
    for name in names:
        _check_name(parameter, name)
