"""A shard map in the making: takes what a file says, item by item, and finds out what is wrong with it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

from tidewire.core.shard_map import LOOPBACK, RealmPattern, ShardAddress, ShardMap
from tidewire.shown import show

MAX_PORT = 65535

_HOST = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?")
_ADDRESS = re.compile(r"[A-Za-z0-9._:-]{1,253}")

Ports = tuple[int, ...]


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is a whole number; `true` is none."""
    return isinstance(value, int) and not isinstance(value, bool)


class MapProblem(NamedTuple):
    """One thing that is wrong: where in the file (empty: as a whole), what would be right, and what is there."""

    key: str
    expected: str
    found: str


class BadShardMap(ValueError):
    """A file is no shard map; `problems` are all that was found to be wrong."""

    def __init__(self, problems: Sequence[MapProblem]) -> None:
        self.problems = tuple(problems)
        lines = (
            f"{key or 'the file'}: found {found}; expected {expected}" for key, expected, found in problems
        )
        super().__init__("; ".join(lines))


class Draft:
    """What is known so far, with shards by their ports."""

    def __init__(self) -> None:
        self.shards: dict[int, str] = {}
        self.default: Ports = ()
        self._version = 1
        self._hosts: dict[str, Ports] = {}
        self._patterns: list[tuple[str, Ports]] = []
        self._named: dict[int, str] = {}
        """Every port that something is mapped to, and where it was named first."""
        self._problems: list[MapProblem] = []

    def wrong(self, key: str, expected: str, found: str) -> None:
        """Notes a problem."""
        self._problems.append(MapProblem(key, expected, found))

    def check_names(self, where: str, table: Iterable[str], known: frozenset[str]) -> None:
        """Notes names that mean nothing."""
        for name in table:
            if name not in known:
                key = f"{where}.{name}" if where else name
                self.wrong(key, f"one of {', '.join(sorted(known))}", "no key of this name")

    def set_version(self, value: object) -> None:
        """Takes the version."""
        if is_whole(value) and value >= 1:
            self._version = value
        else:
            self.wrong("version", "a whole number, at least 1", show(value))

    def add_shard(self, where: str, port: object, host: object) -> None:
        """Takes a shard's address."""
        if not is_whole(port) or not 1 <= port <= MAX_PORT:
            self.wrong(f"{where}.port", f"a whole number from 1 to {MAX_PORT}", _shown(port))
        elif port in self.shards:
            self.wrong(f"{where}.port", "a port of its own for each shard", f"{port} again")
        elif not isinstance(host, str) or not _ADDRESS.fullmatch(host):
            self.wrong(f"{where}.host", "a host name or an IP address", _shown(host))
        else:
            self.shards[port] = host

    def name_shards(self, first: int) -> None:
        """Has the shards be those that were named, for forms of file that have no list of them; `first` is the first."""
        for port in sorted({first, *self._named}):
            self.shards[port] = LOOPBACK

    def ports(self, where: str, value: object) -> Ports:
        """Takes a list of ports; nothing comes of a wrong one."""
        if not isinstance(value, list) or not value or not all(is_whole(port) for port in value):
            self.wrong(where, "a list of ports, at least one", _shown(value))
            return ()
        if len(set(value)) < len(value):
            self.wrong(where, "each port once", show(value))
            return ()
        for port in value:
            self._named.setdefault(port, where)
        return tuple(value)

    def add_host(self, where: str, host: object, ports: Ports) -> None:
        """Takes the ports of a realm."""
        if not isinstance(host, str) or not _HOST.fullmatch(host.lower()):
            self.wrong(where, "a host name", _shown(host))
        elif host.lower() in self._hosts:
            self.wrong(where, "each host once", f"{host} again")
        else:
            self._hosts[host.lower()] = ports

    def add_pattern(self, where: str, pattern: object, ports: Ports) -> None:
        """Takes the ports of realms whose hosts match."""
        expected = "a regular expression for hosts"
        if not isinstance(pattern, str) or not pattern or not pattern.isprintable():
            self.wrong(where, expected, _shown(pattern))
            return
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            self.wrong(where, expected, f"{show(pattern)} ({error})")
            return
        self._patterns.append((pattern, ports))

    def finish(self) -> ShardMap:
        """The map.

        Raises:
            BadShardMap: something is wrong.
        """
        ports = sorted(self.shards)
        if ports and ports != list(range(ports[0], ports[0] + len(ports))):
            self.wrong("", "ports without gaps (R9.2)", f"the ports {show(ports)}")
        for port, where in self._named.items():
            if self.shards and port not in self.shards:
                self.wrong(where, f"ports of shards: {_range(ports)}", str(port))
        if self._problems:
            raise BadShardMap(self._problems)
        index: Mapping[int, int] = {port: number for number, port in enumerate(ports)}

        def shards(named: Ports) -> tuple[int, ...]:
            return tuple(index[port] for port in named)

        return ShardMap(
            shards=tuple(ShardAddress(port, self.shards[port]) for port in ports),
            version=self._version,
            hosts={host: shards(named) for host, named in self._hosts.items()},
            patterns=tuple(RealmPattern(pattern, shards(named)) for pattern, named in self._patterns),
            default=shards(self.default) or (0,),
        )


def _range(ports: list[int]) -> str:
    return str(ports[0]) if len(ports) == 1 else f"{ports[0]} to {ports[-1]}"


def _shown(value: Any) -> str:
    return "nothing" if value is None else "a table" if isinstance(value, dict) else show(value)
