"""The kinds of value a setting can have: how each is read from text, what fits, and what it is called.

A kind has two steps. `read` turns text (environment, `--set`) into the plain value that a TOML file would
hold; it never fails, for text that can't be read is left as it is and then doesn't fit. `fit` turns a plain
value from any source into the typed value, or raises `InvalidValue`.
"""

import ipaddress
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

from tidewire._text import show

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Plain = str | int | bool | tuple[str, ...]
"""What the table holds as a default."""


class InvalidValue(Exception):
    """A value is not of its kind.

    Attributes:
        expected: what would fit.
        found: the part that doesn't, for a person.
    """

    def __init__(self, expected: str, found: object) -> None:
        super().__init__(expected)
        self.expected = expected
        self.found = show(found)


class Kind(Protocol):
    """The type of a setting: how a value is read, checked and described."""

    @property
    def expected(self) -> str:
        """What fits, as a phrase for problems and for the reference page."""
        ...

    def read(self, text: str) -> object:
        """Turns text into the plain value a file would hold; text that can't be read stays text."""
        ...

    def fit(self, value: object) -> Any:
        """Turns a plain value into the typed one.

        Raises:
            Misfit: the value is of another type, or out of range.
        """
        ...


def toml_value(text: str) -> object:
    """The one TOML value that the text is; the text itself when it isn't exactly one."""
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        # ValueError also stands for numbers of absurd length, RecursionError for absurd nesting.
        return text
    return table["value"] if len(table) == 1 else text


def plain_text(text: str) -> str:
    """The text as it is, without the quotes of a quoted TOML string (a habit carried over from the file)."""
    quoted = text.strip()
    if quoted[:1] not in {'"', "'"}:
        return text
    value = toml_value(quoted)
    return value if isinstance(value, str) else text


@dataclass(frozen=True, slots=True)
class Text:
    """A string, of a form when `pattern` is given (it must match as a whole)."""

    expected: str = "a string"
    pattern: str = r"(?s:.*)"

    def read(self, text: str) -> object:
        """Returns the text unchanged."""
        return plain_text(text)

    def fit(self, value: object) -> str:
        """Takes strings of the pattern."""
        if not isinstance(value, str) or re.fullmatch(self.pattern, value) is None:
            raise InvalidValue(self.expected, value)
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words; `remark` says why there are no more."""

    options: tuple[str, ...]
    remark: str = ""

    @property
    def expected(self) -> str:
        """The words, and the remark."""
        words = " or ".join(show(option) for option in self.options)
        return f"{words} ({self.remark})" if self.remark else words

    def read(self, text: str) -> object:
        """Returns the text unchanged."""
        return plain_text(text)

    def fit(self, value: object) -> str:
        """Accepts one of the allowed words, spelled exactly."""
        if not isinstance(value, str) or value not in self.options:
            raise InvalidValue(self.expected, value)
        return value


@dataclass(frozen=True, slots=True)
class Choices:
    """One or several of a few words, each once."""

    options: tuple[str, ...]

    @property
    def expected(self) -> str:
        """The allowed words, for an error message."""
        return f"{' or '.join(show(option) for option in self.options)}, or a list of these"

    def read(self, text: str) -> object:
        """Reads a TOML list, else takes the text as words with commas between."""
        return ListOf(Text()).read(text)

    def fit(self, value: object) -> tuple[str, ...]:
        """Takes a word, or a list of words that is not empty."""
        words = [value] if isinstance(value, str) else value
        if not isinstance(words, list | tuple) or not words or len(set(map(str, words))) < len(words):
            raise InvalidValue(self.expected, value)
        if not all(isinstance(word, str) and word in self.options for word in words):
            raise InvalidValue(self.expected, value)
        return tuple(words)


@dataclass(frozen=True, slots=True)
class Flag:
    """A setting that is true or false."""

    expected: str = "true or false"

    def read(self, text: str) -> object:
        """Reads `true` and `false`."""
        return toml_value(text)

    def fit(self, value: object) -> bool:
        """Takes booleans only; 0 and 1 are numbers."""
        if not isinstance(value, bool):
            raise InvalidValue(self.expected, value)
        return value


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number within bounds, both included."""

    minimum: int = 0
    maximum: int | None = None

    @property
    def expected(self) -> str:
        """The bounds, for an error message."""
        if self.maximum is None:
            return f"a whole number, at least {self.minimum}"
        return f"a whole number from {self.minimum} to {self.maximum}"

    def read(self, text: str) -> object:
        """Reads a TOML number."""
        return toml_value(text)

    def fit(self, value: object) -> int:
        """Takes whole numbers; `true` is none, though Python would count it as one."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidValue(self.expected, value)
        if value < self.minimum or (self.maximum is not None and value > self.maximum):
            raise InvalidValue(self.expected, value)
        return value


_UNITS = MappingProxyType({"KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30})
_SIZE = re.compile(r"([0-9]{1,9}) ?([kmg]i?b)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Budget:
    """A number of bytes, also in larger units, or "auto"."""

    expected: str = '"auto", a whole number of bytes, at least 0, or such as "512MB" or "2GiB"'

    def read(self, text: str) -> object:
        """Reads a TOML number; the word may stand without quotes."""
        return toml_value(text)

    def fit(self, value: object) -> int | Literal["auto"]:
        """Takes the word, whole numbers, and whole numbers with a unit."""
        if value == "auto":
            return "auto"
        if isinstance(value, str) and (sized := _SIZE.fullmatch(value)) is not None:
            return int(sized[1]) * _UNITS[sized[2].upper()]
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InvalidValue(self.expected, value)
        return value


@dataclass(frozen=True, slots=True)
class File:
    """A path; the empty string stands for none when `optional`."""

    optional: bool = False

    @property
    def expected(self) -> str:
        """Whether it may be empty."""
        return "a path, or an empty string for none" if self.optional else "a path"

    def read(self, text: str) -> object:
        """Returns the text unchanged."""
        return plain_text(text)

    def fit(self, value: object) -> Path | None:
        """Accepts strings that can be a path; the loader makes them absolute."""
        if not isinstance(value, str) or "\0" in value or (not value and not self.optional):
            raise InvalidValue(self.expected, value)
        return Path(value) if value else None


@dataclass(frozen=True, slots=True)
class Address:
    """An IP network, or a single address as the network of itself; only as an item of a list."""

    expected: str = 'networks such as "10.0.0.0/8", "192.0.2.7" or "fd00::/8"'

    def read(self, text: str) -> object:
        """Returns the text unchanged."""
        return text

    def fit(self, value: object) -> Network:
        """Takes networks whose host bits are zero: anything else is more often a slip than meant."""
        if not isinstance(value, str):
            raise InvalidValue(self.expected, value)
        try:
            return ipaddress.ip_network(value)
        except ValueError:
            raise InvalidValue(self.expected, value) from None


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of strings that all fit one kind."""

    item: Kind

    @property
    def expected(self) -> str:
        """What the items must be, for an error message."""
        return f"a list of {self.item.expected}"

    def read(self, text: str) -> object:
        """Reads a TOML list, else takes the text as items with commas between."""
        if text.lstrip().startswith("["):
            return toml_value(text)
        return [plain_text(part.strip()) for part in text.split(",") if part.strip()]

    def fit(self, value: object) -> tuple[Any, ...]:
        """Takes lists; the first item that doesn't fit is named."""
        if not isinstance(value, (list, tuple)):
            raise InvalidValue(self.expected, value)
        try:
            return tuple(self.item.fit(item) for item in value)
        except InvalidValue as misfit:
            misfit.expected = self.expected
            raise
