"""A publisher with a map splits a notice exactly as a shard would that was given the whole of it (R8.5)."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidewire.cluster.locator import UserLocator
from tidewire.core.ids import RealmId, UserId
from tidewire.core.notices.notice import decode_notice
from tidewire.core.notices.split import meeting
from tidewire.core.users import Realm, User
from tidewire.publisher.map_reader import MapShards
from tidewire.publisher.routing import digest_of, routed
from tidewire.sharding.shard_map import RealmPattern, ShardAddress, ShardMap, among

HOSTS = {1: "one.example", 2: "Two.example", 3: "lab3.example"}

groups = st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True).map(tuple)
maps = st.builds(
    lambda default, hosts, pattern: ShardMap(
        shards=tuple(ShardAddress(9800 + index) for index in range(4)),
        default=default,
        hosts=hosts,
        patterns=() if pattern is None else (RealmPattern(r"lab", pattern),),
    ),
    groups,
    st.dictionaries(st.sampled_from(["one.example", "two.example"]), groups),
    st.none() | groups,
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.integers(-(2**63), 2**64 - 1)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | texts | st.floats(0.001, 1e9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
realm_ids = st.sampled_from([1, 2, 3, 4])
user_ids = st.integers(0, 12)
events = st.builds(
    lambda kind, more, own: {**more, **own, "type": kind},
    st.sampled_from(["message", "update_message"]),
    st.dictionaries(texts, values, max_size=3),
    st.fixed_dictionaries(
        {},
        optional={
            "stream_name": st.sampled_from(["a", None]),
            "realm_id": realm_ids,
            "invite_only": st.booleans(),
        },
    ),
)
notices = st.fixed_dictionaries(
    {
        "id": st.just("n"),
        "event": events,
        "users": st.lists(user_ids | user_ids.map(lambda user: {"id": user, "flags": ["read"]}), max_size=8),
        "realm_id": realm_ids,
    }
)


class Directory:
    """Realms that the publisher knows too; no users."""

    def user(self, user_id: UserId) -> User | None:
        """Nobody."""
        del user_id
        return None

    def realm(self, realm_id: RealmId) -> Realm | None:
        """A realm with a host."""
        host = HOSTS.get(realm_id)
        return None if host is None else Realm(id=realm_id, host=host, name="A realm")


def by_server(shard_map: ShardMap, notice: dict[str, Any], shard: int) -> dict[str, Any]:
    asked = UserLocator(shard_map, index=shard, directory=Directory(), relocations=None)
    parts = asked.parts(decode_notice(json.dumps(notice).encode()))
    return {shard_map.queue_name(shard): json.loads(raw)["users"] for shard, raw in parts.items()}


@given(maps, notices)
def test_both_split_alike(shard_map: ShardMap, notice: dict[str, Any]) -> None:
    parts = dict(routed(notice, MapShards(shard_map, HOSTS)))
    (first, *_) = shard_map.shards_of_realm(HOSTS.get(notice["realm_id"]))
    assert {queue: part["users"] for queue, part in parts.items()} == by_server(shard_map, notice, first)


@given(maps, notices)
def test_no_shard_of_the_same_map_sends_a_part_on(shard_map: ShardMap, notice: dict[str, Any]) -> None:
    parts = dict(routed(notice, MapShards(shard_map, HOSTS)))
    for shard in range(4):
        queue = shard_map.queue_name(shard)
        if queue in parts:
            taken = decode_notice(json.dumps(parts[queue]).encode())
            taken.parted = frozenset(parts)
            asked = UserLocator(shard_map, index=shard, directory=Directory(), relocations=None)
            assert asked.serves_all([taken])


@given(notices)
def test_both_know_a_notice_by_the_same_digest(notice: dict[str, Any]) -> None:
    assert digest_of(notice) == decode_notice(json.dumps(notice).encode()).digest.hex()


@given(maps, maps, notices)
def test_parts_made_by_any_map_are_known_as_the_same_notice(
    one: ShardMap, other: ShardMap, notice: dict[str, Any]
) -> None:
    parts = [part for shard_map in (one, other) for _, part in routed(notice, MapShards(shard_map))]
    assert len({decode_notice(json.dumps(part).encode()).digest for part in parts}) == 1


@given(groups, st.integers(1, 6), st.integers(0, 5), st.integers(0, 100))
def test_a_part_goes_to_the_shards_that_have_hearers_of_it(
    shards: tuple[int, ...], count: int, index: int, quotient: int
) -> None:
    index %= count
    hearer = index + quotient * count
    found = meeting(shards, (index, count))
    assert among(shards, hearer) in found
    assert set(found) == {among(shards, index + more * count) for more in range(24)}
    assert meeting(shards, (0, 0)) == []
