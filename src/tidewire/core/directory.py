"""The indexes of a shard: queues by id, by user, and those that hear public messages, in order of creation (R2.8)."""

from collections.abc import Collection, Iterable, Iterator
from typing import Generic, TypeVar

from tidewire.core.descriptor import Descriptor
from tidewire.core.errors import BadEventQueueId
from tidewire.core.firehose import Firehose
from tidewire.core.ids import QueueId, RealmId, UserId
from tidewire.core.queue_index import QueueIndex

W = TypeVar("W")


class Directory(Generic[W]):
    """Which queues there are, and whose."""

    __slots__ = ("_by_id", "_firehose", "by_user")

    def __init__(self, *, narrow_hears_public_channels: bool = False) -> None:
        self._by_id: dict[QueueId, Descriptor[W]] = {}
        self.by_user: QueueIndex[UserId, W] = QueueIndex()
        """To look at, not to change."""
        self._firehose: Firehose[W] = Firehose(narrow_hears_public_channels=narrow_hears_public_channels)

    def add(self, descriptor: Descriptor[W]) -> None:
        """Enters a new queue."""
        self._by_id[descriptor.queue_id] = descriptor
        self.by_user.add(descriptor.spec.user_id, descriptor)
        self._firehose.add(descriptor)

    def remove(self, descriptor: Descriptor[W]) -> None:
        """Takes a queue out of every index."""
        del self._by_id[descriptor.queue_id]
        self.by_user.remove(descriptor.spec.user_id, descriptor)
        self._firehose.remove(descriptor)

    def get(self, queue_id: str) -> Descriptor[W] | None:
        """The queue of that id, whoever owns it."""
        return self._by_id.get(QueueId(queue_id))

    def owned(self, queue_id: str, user_id: UserId) -> Descriptor[W]:
        """The user's queue of that id.

        Raises:
            BadEventQueueId: there is none, or it is another user's; the client can't tell which (R2.10).
        """
        descriptor = self._by_id.get(QueueId(queue_id))
        owner_id = None if descriptor is None else descriptor.spec.user_id
        # One way for both: how long an answer takes must not say either.
        if descriptor is None or owner_id != user_id:
            raise BadEventQueueId(queue_id, owner_id=owner_id)
        return descriptor

    def of_user(self, user_id: UserId) -> Collection[Descriptor[W]]:
        """The user's queues; must not be held while queues come or go."""
        return self.by_user.of(user_id)

    def hearing(self, realm_id: RealmId, channel: object) -> Iterable[Descriptor[W]]:
        """See `Firehose.hearing`."""
        return self._firehose.hearing(realm_id, channel)

    def is_hearing(self, descriptor: Descriptor[W]) -> bool:
        """Whether the queue may hear public messages that don't name its owner."""
        return self._firehose.may_hear(descriptor)

    def user_ids(self) -> list[UserId]:
        """The users who have a queue."""
        return self.by_user.keys()

    def users(self) -> int:
        """How many users have a queue."""
        return len(self.by_user)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Descriptor[W]]:
        return iter(self._by_id.values())
