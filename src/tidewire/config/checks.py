"""Problems of a configuration: the error that carries all of them, and the checks of settings against each other."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tidewire import TidewireError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        source: where it stands: a file's path, an environment variable's name, or `--set`.
        key: the setting, as `section.key`; empty when the source as a whole can't be read.
        expected: what would be right.
        found: what stands there instead; never the value of a private setting.
    """

    source: str
    key: str
    expected: str
    found: str

    def __str__(self) -> str:
        where = f"{self.source}: {self.key}" if self.key else self.source
        return f"{where}: found {self.found}; expected {self.expected}"


class ConfigError(TidewireError):
    """The configuration can't be used; nothing was started.

    Its text has one line a problem.

    Attributes:
        problems: everything that is wrong, so that one run is enough to put it right.
    """

    code = "CONFIG_INVALID"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass(frozen=True, slots=True)
class ResolvedSetting:
    """The value that a setting has in the end, and the source that gave it (None: the default)."""

    value: Any
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """Two numbers that must stand in an order.

    Attributes:
        name: the setting that a problem names.
        other: the setting it is compared with.
        relation: the order, in words.
        holds: whether (name's value, other's value) are in order.
    """

    name: str
    other: str
    relation: str
    holds: Callable[[int, int], bool]


def _at_most_unless_off(value: int, bound: int) -> bool:
    return bound == 0 or value <= bound


def _at_least(value: int, bound: int) -> bool:
    return value >= bound


def _at_most(value: int, bound: int) -> bool:
    return value <= bound


ORDERS: tuple[Order, ...] = (
    Order("queues.heartbeat_min", "queues.heartbeat_max", "at most", _at_most),
    Order("queues.min_idle_timeout", "queues.max_idle_timeout", "at most", _at_most_unless_off),
    Order("queues.idle_timeout", "queues.min_idle_timeout", "at least", _at_least),
    Order("queues.idle_timeout", "queues.max_idle_timeout", "at most", _at_most_unless_off),
)


@dataclass(frozen=True, slots=True)
class Need:
    """A setting that must be given when a kind of credentials is configured.

    Attributes:
        kind: the word in `auth.kind`.
        names: of these settings one must be given.
    """

    kind: str
    names: tuple[str, ...]


NEEDS = (
    Need("http", ("auth.http_url",)),
    Need("jwt", ("auth.jwt_audience",)),
    Need("jwt", ("auth.jwt_keys", "auth.jwt_issuer")),
)


def missing(settled: Mapping[str, ResolvedSetting]) -> Iterator[Problem]:
    """Settings without which a kind of credentials can't work; nothing is open because one was forgotten."""
    kinds = settled.get("auth.kind")
    if kinds is None:
        return
    for need in NEEDS:
        given = [settled[name].value for name in need.names if name in settled]
        if need.kind in kinds.value and len(given) == len(need.names) and not any(given):
            expected = f"a value, because auth.kind has {need.kind!r}"
            yield Problem(kinds.source or "defaults", " or ".join(need.names), expected, "none")
    keys = [settled[name].value for name in ("auth.jwt_key", "auth.jwt_key_file") if name in settled]
    issuer = settled.get("auth.jwt_issuer")
    if issuer is not None and issuer.value and keys and not any(keys):
        expected = "a value, because auth.jwt_issuer has one"
        yield Problem(issuer.source or "defaults", "auth.jwt_key or auth.jwt_key_file", expected, "none")


def contradictions(settled: Mapping[str, ResolvedSetting]) -> Iterator[Problem]:
    """Pairs of settings that don't go together; a pair with a setting left out is not judged.

    The source named is that of the setting itself, else of the other one: one of them is no default.
    """
    for order in ORDERS:
        ours, theirs = settled.get(order.name), settled.get(order.other)
        if ours is None or theirs is None or order.holds(ours.value, theirs.value):
            continue
        expected = f"{order.relation} {order.other}, which is {theirs.value}"
        yield Problem(ours.source or theirs.source or "defaults", order.name, expected, str(ours.value))
