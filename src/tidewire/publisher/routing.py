"""Which shards a notice is for (R8.5)."""

import abc
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from tidewire._amqp.names import inbound_queue

DIGEST_SIZE = 16


class ShardQueues(Protocol):
    """Says through which queue a user's shard gets its notices."""

    def queue_of(self, user_id: int) -> str:
        """The queue of the shard that serves a user."""
        ...

    def queues(self, realm_id: int | None) -> Iterable[str]:
        """The queues of all shards that may serve users of a realm; of every realm when None."""
        ...


class OneShard(ShardQueues):
    """A deployment of one shard."""

    def __init__(self, queue: str = inbound_queue()) -> None:
        self._queue = queue

    def queue_of(self, user_id: int) -> str:
        """The one queue."""
        del user_id
        return self._queue

    def queues(self, realm_id: int | None) -> Iterable[str]:
        """The one queue."""
        del realm_id
        return (self._queue,)


class ShardsByRealm(ShardQueues):
    """A deployment whose realms may have shards of their own, each with a queue for the users of one remainder."""

    @abc.abstractmethod
    def in_realm(self, realm_id: int | None) -> ShardQueues:
        """The shards of a realm's users; of users whose realm is not known when None."""


def routed(notice: Mapping[str, Any], shards: ShardQueues) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A notice as each shard gets it: with the shard's own users, under the same id.

    Each part says by `whole` what it is a part of, even where it is the only one: sent again it may be parted by
    another map, and is to be known all the same.
    """
    if isinstance(shards, OneShard):
        yield from ((queue, notice) for queue in shards.queues(None))
        return
    groups = _groups(notice, shards)
    part = {**notice, "whole": digest_of(notice)}
    hearing: Sequence[str] = ()
    if isinstance(shards, ShardsByRealm) and is_heard_by_others(notice["event"]):
        hearing = tuple(shards.queues(notice["event"]["realm_id"]))
    for queue, users in groups.items():
        if hearing:
            # Each who may hear of it has one part, so that parts by an old map neither double nor overtake.
            part["hearers"] = [hearing.index(queue), len(hearing)] if queue in hearing else [0, 0]
        yield queue, {**part, "users": users}


def _groups(notice: Mapping[str, Any], shards: ShardQueues) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    realm_id: int | None = notice.get("realm_id")
    home = shards.in_realm(realm_id) if isinstance(shards, ShardsByRealm) else shards
    for user in notice["users"]:
        user_id = user["id"] if isinstance(user, Mapping) else user
        groups.setdefault(home.queue_of(user_id), []).append(user)
    event = notice["event"]
    if is_heard_by_others(event):
        for queue in shards.queues(event["realm_id"]):
            groups.setdefault(queue, [])
    # Some notices name nobody; any shard of the realm will do.
    return groups or {next(iter(home.queues(realm_id))): []}


def is_heard_by_others(event: Mapping[str, Any]) -> bool:
    """Whether queues of users that a notice does not name may hear of it: public messages (R4.8)."""
    return (
        event.get("type") == "message"
        and event.get("stream_name") is not None
        and not event.get("invite_only")
        and isinstance(event.get("realm_id"), int)
    )


def digest_of(notice: Mapping[str, Any]) -> str:
    """The digest of a notice's content, as the server makes it (`core/notices/notice.py`).

    Raises:
        TypeError, ValueError, RecursionError: it has no JSON form, or keys that can't be sorted.
    """
    content = (notice["event"], list(notice["users"]), notice.get("realm_id"))
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=DIGEST_SIZE).hexdigest()
