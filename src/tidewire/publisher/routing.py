"""Which shards a notice is for (R8.5)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from tidewire._bus_names import inbound_queue


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


def routed(notice: Mapping[str, Any], shards: ShardQueues) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A notice as each shard gets it: with the shard's own users, under the same id."""
    groups: dict[str, list[Any]] = {}
    if is_heard_by_others(notice["event"]):
        groups = {queue: [] for queue in shards.queues(notice.get("realm_id"))}
    for user in notice["users"]:
        user_id = user["id"] if isinstance(user, Mapping) else user
        groups.setdefault(shards.queue_of(user_id), []).append(user)
    for queue, users in groups.items():
        yield queue, {**notice, "users": users}


def is_heard_by_others(event: Mapping[str, Any]) -> bool:
    """Whether queues of users that a notice does not name may hear of it: public messages (R4.8)."""
    return (
        event.get("type") == "message"
        and event.get("stream_name") is not None
        and not event.get("invite_only")
    )
