"""The indexes of a shard: queues by id and by user, each in order of creation (R2.8)."""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from tidewire.core.descriptor import Descriptor
from tidewire.core.errors import BadEventQueueId
from tidewire.core.ids import QueueId, UserId

W = TypeVar("W")


class Directory(Generic[W]):
    """Which queues there are, and whose."""

    __slots__ = ("_by_id", "_by_user")

    def __init__(self) -> None:
        self._by_id: dict[QueueId, Descriptor[W]] = {}
        # Most users have one queue: it stands here itself, which saves them a dictionary and publishing two
        # cold cache lines.
        self._by_user: dict[UserId, Descriptor[W] | dict[QueueId, Descriptor[W]]] = {}

    def add(self, descriptor: Descriptor[W]) -> None:
        """Enters a new queue."""
        self._by_id[descriptor.queue_id] = descriptor
        user_id = descriptor.spec.user_id
        owned = self._by_user.get(user_id)
        if owned is None:
            self._by_user[user_id] = descriptor
        elif isinstance(owned, Descriptor):
            self._by_user[user_id] = {owned.queue_id: owned, descriptor.queue_id: descriptor}
        else:
            owned[descriptor.queue_id] = descriptor

    def remove(self, descriptor: Descriptor[W]) -> None:
        """Takes a queue out of every index."""
        del self._by_id[descriptor.queue_id]
        user_id = descriptor.spec.user_id
        owned = self._by_user[user_id]
        if isinstance(owned, Descriptor):
            del self._by_user[user_id]
            return
        del owned[descriptor.queue_id]
        if len(owned) == 1:
            (self._by_user[user_id],) = owned.values()

    def get(self, queue_id: str) -> Descriptor[W] | None:
        """The queue of that id, whoever owns it."""
        return self._by_id.get(QueueId(queue_id))

    def owned(self, queue_id: str, user_id: UserId) -> Descriptor[W]:
        """The user's queue of that id.

        Raises:
            BadEventQueueId: there is none, or it is another user's; the client can't tell which (R2.10).
        """
        descriptor = self._by_id.get(QueueId(queue_id))
        if descriptor is None:
            raise BadEventQueueId(queue_id)
        if descriptor.spec.user_id != user_id:
            raise BadEventQueueId(queue_id, owner_id=descriptor.spec.user_id)
        return descriptor

    def of_user(self, user_id: UserId) -> Iterable[Descriptor[W]]:
        """The user's queues; must not be held while queues come or go."""
        owned = self._by_user.get(user_id)
        if owned is None:
            return ()
        return (owned,) if isinstance(owned, Descriptor) else owned.values()

    def users(self) -> int:
        """How many users have a queue."""
        return len(self._by_user)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Descriptor[W]]:
        return iter(self._by_id.values())
