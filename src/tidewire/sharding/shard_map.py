"""Which shard serves whom: a map from realms to shards, and from there to users (R9.1, R9.4).

A value: reading it from a file is `config/shards.py`'s business. Its version says which of two maps is the newer
one, for shards that have to agree. Nothing but the standard library is needed here, so that publishers can use it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from tidewire.core.ids import UserId

T = TypeVar("T")

FIRST_PORT = 9800

LOOPBACK = "127.0.0.1"

NOBODY: Mapping[str, tuple[int, ...]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ShardAddress:
    """Where a shard listens, for the others and for the proxy in front."""

    port: int
    host: str = LOOPBACK


@dataclass(frozen=True, slots=True)
class RealmPattern:
    """A regular expression for hosts of realms, and the shards of these realms."""

    pattern: str
    shards: tuple[int, ...]

    def matches(self, host: str) -> bool:
        """Whether it matches at the start of the host, in any case of letters (R9.4)."""
        return re.match(self.pattern, host, re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardMap:
    """The map. Shards are named by their index: the first is 0.

    Attributes:
        shards: their addresses; ports are contiguous (R9.1).
        version: rises with each change.
        hosts: the shards of realms, by exact host.
        patterns: the shards of realms whose host is not in `hosts`; the first that matches counts.
        default: the shards of all other realms.
    """

    shards: tuple[ShardAddress, ...]
    version: int = 1
    hosts: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: NOBODY)
    patterns: tuple[RealmPattern, ...] = ()
    default: tuple[int, ...] = (0,)

    @property
    def is_uniform(self) -> bool:
        """Whether all realms have the same shards, so that nobody's realm need be known."""
        return not self.hosts and not self.patterns

    def shards_of_realm(self, host: str | None) -> tuple[int, ...]:
        """The shards that share a realm's users; those of a realm that is not known are the default's."""
        if host is None:
            return self.default
        exact = self.hosts.get(host.lower())
        if exact is not None:
            return exact
        return next((pattern.shards for pattern in self.patterns if pattern.matches(host)), self.default)

    def shard_of(self, user_id: UserId | int, host: str | None) -> int:
        """The one shard that has all queues of a user of the realm with this host."""
        return among(self.shards_of_realm(host), user_id)

    def address(self, shard: int) -> ShardAddress:
        """Where a shard listens."""
        return self.shards[shard]

    def queue_name(self, shard: int) -> str:
        """The bus queue from which a shard takes its notices (R8.2)."""
        return f"notify_tornado_port_{self.shards[shard].port}"

    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Each set of shards that some realm has, once, in order of appearance."""
        named = (self.default, *self.hosts.values(), *(pattern.shards for pattern in self.patterns))
        return tuple(dict.fromkeys(named))


def among(shards: Sequence[T], user_id: int) -> T:
    """Which of a realm's shards a user is on (R9.4)."""
    return shards[user_id % len(shards)]


def even_map(ports: Sequence[int], *, version: int = 1, host: str = LOOPBACK) -> ShardMap:
    """A map by which all realms are spread over all shards."""
    return ShardMap(
        shards=tuple(ShardAddress(port, host) for port in ports),
        version=version,
        default=tuple(range(len(ports))),
    )


def encode_map(shard_map: ShardMap) -> bytes:
    """A map as JSON, the same bytes for the same map."""
    form = {
        "version": shard_map.version,
        "shards": [[shard.host, shard.port] for shard in shard_map.shards],
        "hosts": dict(shard_map.hosts),
        "patterns": [[entry.pattern, entry.shards] for entry in shard_map.patterns],
        "default": shard_map.default,
    }
    return json.dumps(form, separators=(",", ":"), sort_keys=True).encode()


def decode_map(data: bytes | str) -> ShardMap:
    """The map that `encode_map` encoded.

    Raises:
        ValueError: it is none.
    """
    try:
        form = json.loads(data)
        made = ShardMap(
            shards=tuple(ShardAddress(int(port), str(host)) for host, port in form["shards"]),
            version=int(form["version"]),
            hosts={str(host): tuple(map(int, shards)) for host, shards in form["hosts"].items()},
            patterns=tuple(
                RealmPattern(str(pattern), tuple(map(int, shards))) for pattern, shards in form["patterns"]
            ),
            default=tuple(map(int, form["default"])),
        )
        for entry in made.patterns:
            re.compile(entry.pattern)
    except (KeyError, TypeError, AttributeError, RecursionError, re.error) as error:
        raise ValueError(f"this is no shard map: {error!r}") from None
    if not made.shards or any(
        not group or not set(group) <= set(range(len(made.shards))) for group in made.groups()
    ):
        raise ValueError("this is no shard map: it names shards that it has not")
    return made
