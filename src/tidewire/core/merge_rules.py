"""Merge rules ready to be used for an application's own event types.

What they have in common: an event that a rule doesn't understand (a field is missing, or holds something else)
stands alone, and nothing is merged across it, for it may undo anything. All other members of a merged event
are those of the newest of its contributors.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tidewire.core.merge import Event

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
        """The newest."""
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
        """The sum."""
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
