"""What a shard map's file says: TOML, the INI form of R9.2, or the JSON form of R9.3.

Text becomes a map here; who reads the file is another matter. Nothing but the standard library is needed, so that
publishers can use it.
"""

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from tidewire.core.shard_map import FIRST_PORT, LOOPBACK, ShardMap
from tidewire.core.shard_map_draft import Draft, is_whole
from tidewire.shown import show

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
