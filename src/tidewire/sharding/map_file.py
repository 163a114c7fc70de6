"""Reading a shard map's file: TOML, INI or JSON, with every problem reported together."""

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeGuard

from tidewire._text import show
from tidewire.sharding.shard_map import FIRST_PORT, LOOPBACK, RealmPattern, ShardAddress, ShardMap

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
        """Adds a problem to the list."""
        self._problems.append(MapProblem(key, expected, found))

    def check_names(self, where: str, table: Iterable[str], known: frozenset[str]) -> None:
        """Notes names that mean nothing."""
        for name in table:
            if name not in known:
                key = f"{where}.{name}" if where else name
                self.wrong(key, f"one of {', '.join(sorted(known))}", "no key of this name")

    def set_version(self, value: object) -> None:
        """Sets the map's version."""
        if is_whole(value) and value >= 1:
            self._version = value
        else:
            self.wrong("version", "a whole number, at least 1", show(value))

    def add_shard(self, where: str, port: object, host: object) -> None:
        """Adds a shard with its address."""
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


INI_SECTION = "tornado_sharding"


OWN_SECTION = "tidewire"
"""A section of ours in an INI file, for what the older form has no place for: `version` and `external_host`."""


_INI_KEY = re.compile(r"(?P<ports>[0-9]{1,5}(?:_[0-9]{1,5})*)(?P<regex>_regex)?")


TOP = frozenset({"version", "default", "shard", "realm"})


SHARD = frozenset({"port", "host"})


REALM = frozenset({"host", "pattern", "ports"})


def map_of_text(text: str, *, form: str) -> ShardMap:
    """Makes a map of a file's content; `form` is the suffix of its name, and all but `toml` and `json` are INI.

    Raises:
        BadShardMap: it is wrong.
    """
    draft = Draft()
    FORMS.get(form, _from_ini)(text, draft)
    return draft.finish()


def form_of(name: str) -> str:
    """The form of a file by its name: the suffix, in small letters."""
    _, dot, suffix = name.rpartition(".")
    return suffix.lower() if dot else ""


def _from_toml(text: str, draft: Draft) -> None:
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        draft.wrong("", "a TOML file", f"a mistake: {error}")
        return
    draft.check_names("", table, TOP)
    draft.set_version(table.get("version", 1))
    for where, entry in _tables(table, "shard", draft):
        draft.check_names(where, entry, SHARD)
        draft.add_shard(where, entry.get("port"), entry.get("host", LOOPBACK))
    if not draft.shards:
        draft.wrong("shard", "[[shard]] with a port for each shard", "none")
    for where, entry in _tables(table, "realm", draft):
        draft.check_names(where, entry, REALM)
        ports = draft.ports(f"{where}.ports", entry.get("ports"))
        named = [name for name in ("host", "pattern") if name in entry]
        if len(named) != 1:
            draft.wrong(where, "either host or pattern", " and ".join(named) or "neither")
        elif named == ["host"]:
            draft.add_host(f"{where}.host", entry["host"], ports)
        else:
            draft.add_pattern(f"{where}.pattern", entry["pattern"], ports)
    if "default" in table:
        draft.default = draft.ports("default", table["default"])


def _tables(table: Mapping[str, Any], name: str, draft: Draft) -> list[tuple[str, dict[str, Any]]]:
    entries = table.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        draft.wrong(name, f"tables [[{name}]]", show(entries) if not isinstance(entries, dict) else "a table")
        return []
    return [(f"{name}[{number}]", entry) for number, entry in enumerate(entries)]


def _from_ini(text: str, draft: Draft) -> None:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    try:
        parser.read_string(text, "the file")
    except configparser.Error as error:
        draft.wrong("", "an INI file", " ".join(str(error).split()))
        return
    if not parser.has_section(INI_SECTION):
        draft.wrong("", f"a section [{INI_SECTION}]", "none of this name")
        return
    own = dict(parser[OWN_SECTION]) if parser.has_section(OWN_SECTION) else {}
    draft.check_names(OWN_SECTION, own, frozenset({"version", "external_host"}))
    version = own.get("version", "1")
    draft.set_version(int(version) if version.isdecimal() and len(version) < MANY_DIGITS else version)
    for key, value in parser[INI_SECTION].items():
        _ini_line(f"{INI_SECTION}.{key}", key, value, own.get("external_host", ""), draft)
    if not any(
        key.split("_")[0] == str(FIRST_PORT) or f"_{FIRST_PORT}" in key for key in parser[INI_SECTION]
    ):
        draft.wrong(INI_SECTION, f"a key that names port {FIRST_PORT}", "other ports only")
    draft.name_shards(FIRST_PORT)


MANY_DIGITS = 16


def _ini_line(where: str, key: str, value: str, external_host: str, draft: Draft) -> None:
    form = _INI_KEY.fullmatch(key)
    if form is None:
        draft.wrong(where, "a key such as 9801, 9802_9803 or 9801_regex", "another one")
        return
    ports = draft.ports(where, [int(port) for port in form["ports"].split("_")])
    if form["regex"]:
        draft.add_pattern(where, value.strip(), ports)
        return
    for host in value.split():
        if "." in host:
            draft.add_host(where, host, ports)
        elif external_host:
            draft.add_host(where, f"{host}.{external_host}", ports)
        else:
            expected = f"a whole host name, or external_host in a section [{OWN_SECTION}] to complete it with"
            draft.wrong(where, expected, host)


def _from_json(text: str, draft: Draft) -> None:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        draft.wrong("", "a JSON file", f"a mistake: {error}")
        return
    if not isinstance(content, dict):
        draft.wrong("", "a JSON object", show(content))
        return
    if all(is_whole(port) for port in content.values()):
        content = {"shard_map": content}  # the old form, and that of a single shard
    draft.check_names("", content, frozenset({"version", "shard_map", "shard_regexes"}))
    draft.set_version(content.get("version", 1))
    hosts, patterns = content.get("shard_map", {}), content.get("shard_regexes", [])
    if not isinstance(hosts, dict) or not isinstance(patterns, list):
        draft.wrong("", "an object shard_map and a list shard_regexes", "other values")
        return
    for host, ports in hosts.items():
        draft.add_host(f"shard_map.{host}", host, draft.ports(f"shard_map.{host}", _listed(ports)))
    for number, pair in enumerate(patterns):
        where = f"shard_regexes[{number}]"
        if not isinstance(pair, list) or len(pair) != 2:  # noqa: PLR2004 - a pair
            draft.wrong(where, "a pair of regular expression and ports", show(pair))
            continue
        draft.add_pattern(where, pair[0], draft.ports(where, _listed(pair[1])))
    draft.name_shards(FIRST_PORT)


def _listed(ports: object) -> object:
    return [ports] if is_whole(ports) else ports


FORMS: Mapping[str, Callable[[str, Draft], None]] = MappingProxyType({"toml": _from_toml, "json": _from_json})
