"""Parameters of a request: JSON texts by name, checked, with the sentences of R6.8-R6.11."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from tidewire.core.errors import BadRequest, MissingParameter, ParameterConflict
from tidewire.core.idle_timeout import Requested

T = TypeVar("T")

MAX_INTEGER = 2**63 - 1
"""Integers are 64-bit everywhere they go."""

MAX_LIST_ITEMS = 1000
"""Of a list parameter or an object: event types and narrow terms are counted in tens."""

MAX_ITEM_LENGTH = 1000
"""Characters of a string in a list: types, names and topics have some tens, and a queue keeps them."""

MAX_COMMAS = 20_000
"""In one parameter. Each value but the first of its list or object comes behind one, so this bounds what decoding makes,
which takes some milliseconds for as many. A thousand terms have a tenth of them, and room for those in their texts."""

_DECODER = msgspec.json.Decoder()


class Parameters:
    """The parameters of one request, and which of them were asked for.

    A value is JSON text, except for plain strings. Whoever asks for a parameter gets it checked; a wrong one
    raises `BadRequest` with the parameter's name.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        # The client's name is understood everywhere (R6.11).
        self._known = {"client"}

    @property
    def given(self) -> Mapping[str, str]:
        """All of them, as they came."""
        return self._values

    def ignored(self) -> list[str]:
        """Names that nobody asked for, sorted (R6.11)."""
        return sorted(self._values.keys() - self._known)

    def text(self, name: str, *, max_length: int | None = None) -> str | None:
        """A plain string."""
        self._known.add(name)
        value = self._values.get(name)
        if value is not None and max_length is not None and len(value) > max_length:
            raise BadRequest(f"{name} is too long (limit: {max_length} characters)")
        return value

    def required_text(self, name: str) -> str:
        """A plain string that must be there."""
        value = self.text(name)
        if value is None:
            raise MissingParameter(name)
        return value

    def boolean(self, name: str, *, default: bool) -> bool:
        """`true` or `false`."""
        return self._json(name, as_boolean, default)

    def optional_boolean(self, name: str) -> bool | None:
        """`true`, `false`, or `null` (R6.51)."""
        return self._json(
            name, lambda value, where: None if value is None else as_boolean(value, where), None
        )

    def integer(self, name: str, *, minimum: int = -MAX_INTEGER - 1) -> int | None:
        """An integer of 64 bits."""
        return self._json(name, lambda value, where: as_integer(value, where, minimum), None)

    def required_integer(self, name: str, *, minimum: int = -MAX_INTEGER - 1) -> int:
        """An integer that must be there."""
        value = self.integer(name, minimum=minimum)
        if value is None:
            raise MissingParameter(name)
        return value

    def strings(self, name: str) -> tuple[str, ...] | None:
        """A list of strings; `null` counts as absent (R6.51)."""
        return self._json(name, as_strings, None)

    def narrow(self, name: str) -> tuple[tuple[str, str], ...]:
        """A list of two-string lists (R12.1)."""
        return self._json(name, as_narrow, ())

    def booleans(self, name: str) -> dict[str, bool] | None:
        """An object of booleans."""
        return self._json(name, as_booleans, None)

    def literal(self, name: str, options: Sequence[object]) -> object:
        """One of a few values; a word may stand bare (R6.9). None when absent."""
        if self._peek(name) in options:
            return self._values[name]
        return self._json(name, lambda value, where: as_literal(value, where, options), None)

    def idle_timeout(self, *names: str) -> Requested:
        """Seconds, or the word `mobile`, under whichever of its names (R6.31, D11)."""
        given = [name for name in names if self._peek(name) is not None]
        if len(given) > 1:
            raise ParameterConflict(given[0], given[1])
        if not given:
            return None
        # Clients that send plain strings bare send this one bare too.
        if self._values[given[0]] == "mobile":
            return "mobile"
        return self._json(given[0], as_idle_timeout, None)

    def _peek(self, name: str) -> str | None:
        self._known.add(name)
        return self._values.get(name)

    def _json(self, name: str, check: Callable[[Any, str], T], default: T) -> T:
        text = self._peek(name)
        if text is None:
            return default
        if text.count(",") > MAX_COMMAS:
            raise BadRequest(f"{name} is too long (limit: {MAX_LIST_ITEMS} items)")
        try:
            value = _DECODER.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            raise BadRequest(f"{name} is not valid JSON") from None
        return check(value, name)


def as_literal(value: object, where: str, options: Sequence[object]) -> object:
    """The value, if it is one of the options."""
    if not any(value == option and type(value) is type(option) for option in options):
        raise BadRequest(f"Invalid {where}")
    return value


def as_boolean(value: object, where: str) -> bool:
    """The value, if it is a boolean."""
    if not isinstance(value, bool):
        raise BadRequest(f"{where} is not a boolean")
    return value


def as_integer(value: object, where: str, minimum: int) -> int:
    """The value, if it is an integer from `minimum` up that fits 64 bits."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadRequest(f"{where} is not an integer")
    if value < minimum:
        raise BadRequest(f"{where} is too small")
    if value > MAX_INTEGER:
        raise BadRequest(f"{where} is too large")
    return value


def as_string(value: object, where: str) -> str:
    """The value, if it is a string."""
    if not isinstance(value, str):
        raise BadRequest(f"{where} is not a string")
    return value


def as_item(value: object, where: str) -> str:
    """The value, if it is a string of reasonable length."""
    text = as_string(value, where)
    if len(text) > MAX_ITEM_LENGTH:
        raise BadRequest(f"{where} is too long (limit: {MAX_ITEM_LENGTH} characters)")
    return text


def as_list(value: object, where: str) -> list[Any]:
    """The value, if it is a list of reasonable length."""
    if not isinstance(value, list):
        raise BadRequest(f"{where} is not a list")
    if len(value) > MAX_LIST_ITEMS:
        raise BadRequest(f"{where} is too long (limit: {MAX_LIST_ITEMS} items)")
    return value


def as_strings(value: object, where: str) -> tuple[str, ...] | None:
    """The value, if it is a list of strings or null."""
    if value is None:
        return None
    return tuple(_each(as_list(value, where), where, as_item))


def as_narrow(value: object, where: str) -> tuple[tuple[str, str], ...]:
    """The value, if it is a list of pairs of strings; null is the empty list."""
    return () if value is None else tuple(_each(as_list(value, where), where, _as_term))


def as_booleans(value: object, where: str) -> dict[str, bool] | None:
    """The value, if it is an object of booleans or null."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadRequest(f"{where} is not a dict")
    if len(value) > MAX_LIST_ITEMS:
        raise BadRequest(f"{where} is too long (limit: {MAX_LIST_ITEMS} items)")
    return {key: as_boolean(item, f'{where}["{key}"]') for key, item in value.items()}


def as_idle_timeout(value: object, where: str) -> Requested:
    """The value, if it is an integer from 0 up, `"mobile"`, or null."""
    if value is None or value == "mobile":
        return None if value is None else "mobile"
    return as_integer(value, where, 0)


def _as_term(value: object, where: str) -> tuple[str, str]:
    items = as_list(value, where)
    if len(items) != 2:  # noqa: PLR2004 - a term is a pair
        raise BadRequest(f"{where} should have exactly 2 items")
    operator, operand = _each(items, where, as_item)
    return (operator, operand)


def _each(items: Iterable[object], where: str, check: Callable[[object, str], T]) -> list[T]:
    return [check(item, f"{where}[{index}]") for index, item in enumerate(items)]
