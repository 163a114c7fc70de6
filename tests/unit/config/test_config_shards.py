"""Shard maps: what each form of file says, what is wrong with one, and who is where (R9.1-R9.5)."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.config import ConfigError, load
from tidewire.config.shards import (
    as_application_map,
    of_one_shard,
    parse_shard_map,
    read_shard_map,
    write_toml,
)
from tidewire.sharding.shard_map import RealmPattern, ShardAddress, ShardMap, even_map

THREE = "".join(f"[[shard]]\nport = {port}\n" for port in (9800, 9801, 9802))

TOML = f"""
version = 7
default = [9800, 9801]
{THREE}
[[realm]]
host = "Acme.chat.example"
ports = [9802]
[[realm]]
pattern = '^lab[0-9]+\\.chat\\.example$'
ports = [9801, 9802]
"""

INI = """
[tidewire]
version = 7
external_host = chat.example
[tornado_sharding]
9800 =
9801_regex = ^lab[0-9]+\\.chat\\.example$
9802 = acme other.example
9801_9802 = big
"""

R9_3 = """{"shard_map": {"acme.chat.example": 9801, "big.chat.example": [9802, 9803]},
 "shard_regexes": [["^lab[0-9]+\\\\.chat\\\\.example$", 9801]]}"""


def parsed(text: str, form: str = "toml") -> ShardMap:
    return parse_shard_map(text, source=f"map.{form}", form=form)


def problems(text: str, form: str = "toml") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parsed(text, form)
    assert all(problem.source == f"map.{form}" and problem.expected for problem in caught.value.problems)
    return [problem.key for problem in caught.value.problems]


def test_a_toml_map_says_who_is_where() -> None:
    made = parsed(TOML)
    assert (made.version, [shard.port for shard in made.shards]) == (7, [9800, 9801, 9802])
    assert made.shards_of_realm("acme.CHAT.example") == (2,)
    assert made.shards_of_realm("LAB12.chat.example") == (1, 2)
    assert made.shards_of_realm("xlab12.chat.example") == made.shards_of_realm(None) == (0, 1)
    assert [made.shard_of(user, "lab1.chat.example") for user in (0, 1, 2)] == [1, 2, 1]
    assert made.groups() == ((0, 1), (2,), (1, 2))


def test_an_ini_map_says_the_same_r9_2() -> None:
    made = parsed(INI, "conf")
    assert made.version == 7
    assert [shard.port for shard in made.shards] == [9800, 9801, 9802]
    assert made.shards_of_realm("acme.chat.example") == made.shards_of_realm("other.example") == (2,)
    assert made.shards_of_realm("big.chat.example") == (1, 2)
    assert made.shards_of_realm("lab7.chat.example") == (1,)
    assert made.shards_of_realm("elsewhere.example") == (0,)


def test_the_json_form_of_r9_3_is_read_and_written() -> None:
    made = parsed(R9_3, "json")
    assert made.shards_of_realm("big.chat.example") == (2, 3)
    assert as_application_map(made) == json.loads(R9_3)
    assert parsed("{}", "json") == parsed('{"a.example": 9800}', "json").__class__(
        shards=(ShardAddress(9800),)
    )
    assert parsed('{"a.example": 9801}', "json").shards_of_realm("a.example") == (1,)
    assert as_application_map(parsed("{}", "json")) == {}


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("version = 0\n" + THREE, ["version"]),
        ("version = true\n" + THREE, ["version"]),
        ("colour = 1\n" + THREE, ["colour"]),
        ("[[shard]]\nport = 1\nports = 2", ["shard[0].ports"]),
        ("", ["shard"]),
        ("shard = 1", ["shard", "shard"]),
        ("[[shard]]\nport = 70000", ["shard[0].port", "shard"]),
        ("[[shard]]\nhost = 'a'", ["shard[0].port", "shard"]),
        ("[[shard]]\nport = 1\n[[shard]]\nport = 1", ["shard[1].port"]),
        ("[[shard]]\nport = 1\nhost = 'a b'", ["shard[0].host", "shard"]),
        ("[[shard]]\nport = 1\n[[shard]]\nport = 3", [""]),
        (THREE + "[[realm]]\nports = [9800]", ["realm[0]"]),
        (THREE + "[[realm]]\nhost = 'a'\npattern = 'b'\nports = [9800]", ["realm[0]"]),
        (THREE + "[[realm]]\nhost = 'a'\nports = []", ["realm[0].ports"]),
        (THREE + "[[realm]]\nhost = 'a'\nports = [9800, 9800]", ["realm[0].ports"]),
        (THREE + "[[realm]]\nhost = 'a'\nports = [9803]", ["realm[0].ports"]),
        (THREE + "[[realm]]\nhost = 'a b'\nports = [9800]", ["realm[0].host"]),
        (THREE + 2 * "[[realm]]\nhost = 'a'\nports = [9800]\n", ["realm[1].host"]),
        (THREE + "[[realm]]\npattern = '('\nports = [9800]", ["realm[0].pattern"]),
        ("default = [9803]\n" + THREE, ["default"]),
        ("=", [""]),
    ],
)
def test_a_wrong_toml_map_is_told_by_file_and_key(text: str, keys: list[str]) -> None:
    assert problems(text) == keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("[other]", [""]),
        ("x", [""]),
        ("[tornado_sharding]\n9801 = a.example", ["tornado_sharding"]),
        ("[tornado_sharding]\n9800 = a.example\n9802 = b.example", [""]),
        ("[tornado_sharding]\n9800 = a", ["tornado_sharding.9800"]),
        ("[tornado_sharding]\n9800 = a.b a.b", ["tornado_sharding.9800"]),
        ("[tornado_sharding]\nport = a.b\n9800 =", ["tornado_sharding.port"]),
        ("[tornado_sharding]\n9800_regex = (", ["tornado_sharding.9800_regex"]),
        ("[tidewire]\nversion = x\n[tornado_sharding]\n9800 =", ["version"]),
    ],
)
def test_a_wrong_ini_map_is_told_by_file_and_key(text: str, keys: list[str]) -> None:
    assert problems(text, "ini") == keys


@pytest.mark.parametrize(
    "text", ["[]", "x", '{"shard_map": 1}', '{"shard_regexes": [1]}', '{"shard_map": {"a": "b"}}']
)
def test_a_wrong_json_map_is_a_problem(text: str) -> None:
    assert problems(text, "json")


def test_a_map_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_shard_map(tmp_path / "none.toml")


HOSTS = st.from_regex(r"[a-z0-9]{1,8}\.example", fullmatch=True)


@given(data=st.data(), count=st.integers(1, 5), version=st.integers(1, 99))
def test_a_map_reads_back_as_it_was_written(data: st.DataObject, count: int, version: int) -> None:
    some = st.lists(st.integers(0, count - 1), min_size=1, unique=True).map(tuple)
    made = replace(
        even_map(range(9800, 9800 + count), version=version),
        hosts=data.draw(st.dictionaries(HOSTS, some, max_size=3)),
        patterns=tuple(
            RealmPattern(pattern, shards)
            for pattern, shards in data.draw(
                st.lists(st.tuples(st.sampled_from(["^a", r"b\.\"c\"", "é[0-9]+"]), some), max_size=2)
            )
        ),
        default=data.draw(some),
    )
    assert parsed(write_toml(made)) == made


@given(users=st.lists(st.integers(0, 2**63 - 1), min_size=1), count=st.integers(1, 7))
def test_every_user_has_one_shard_of_the_realm_s(users: list[int], count: int) -> None:
    made = even_map(range(9800, 9800 + count))
    assert made.is_uniform
    assert [made.shard_of(user, "a.example") for user in users] == [user % count for user in users]


def test_bus_queues_are_named_by_port_r8_2() -> None:
    assert even_map([9800]).queue_name(0) == "notify_tornado_port_9800"
    assert even_map([9800, 9801]).queue_name(1) == "notify_tornado_port_9801"


def test_a_shard_has_a_port_and_a_directory_of_its_own_and_the_secret_of_all(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(THREE)
    shards = [
        of_one_shard(
            load(
                file=None,
                environ={},
                overrides=["shards.map_file=map.toml", f"shards.index={index}"],
                working_directory=tmp_path,
            )
        )
        for index in (0, 2)
    ]
    assert [shard.server.port for shard in shards] == [9800, 9802]
    assert [shard.storage.directory for shard in shards] == [
        tmp_path / "state" / "shard-9800",
        tmp_path / "state" / "shard-9802",
    ]
    assert {shard.server.secret for shard in shards} == {(tmp_path / "state" / "secret").read_text().strip()}


@pytest.mark.parametrize(
    ("override", "key"),
    [("shards.index=3", "shards.index"), ("server.port=9700", "server.port"), ("bus.queue=q", "bus.queue")],
)
def test_what_does_not_go_with_the_map_is_a_problem(tmp_path: Path, override: str, key: str) -> None:
    (tmp_path / "map.toml").write_text(THREE)
    overrides = ["shards.map_file=map.toml", override]
    with pytest.raises(ConfigError) as caught:
        of_one_shard(load(file=None, environ={}, overrides=overrides, working_directory=tmp_path))
    assert [problem.key for problem in caught.value.problems] == [key]
