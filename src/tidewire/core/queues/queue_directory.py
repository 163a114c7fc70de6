"""The indexes of a shard's queues: by id, by user, and by the realm whose public messages they receive.

All lists are in order of creation.
"""

from collections.abc import Collection, Hashable, Iterable, Iterator
from itertools import chain
from typing import Generic, NamedTuple, TypeVar

from tidewire.core.errors import BadEventQueueId
from tidewire.core.events.narrow import channel_operand
from tidewire.core.ids import QueueId, RealmId, UserId
from tidewire.core.queues.descriptor import Descriptor, QueueSpec

K = TypeVar("K", bound=Hashable)


W = TypeVar("W")


FEW = 100
"""Keys of which it is not worth finding out first which have a queue."""


class QueueIndex(Generic[K, W]):
    """Which queues belong to which key; a key without queues takes no room."""

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        # Most keys have one queue: it stands here itself, which saves them a dictionary and publishing two
        # cold cache lines.
        self._queues: dict[K, Descriptor[W] | dict[QueueId, Descriptor[W]]] = {}

    def add(self, key: K, descriptor: Descriptor[W]) -> None:
        """Adds a queue."""
        owned = self._queues.get(key)
        if owned is None:
            self._queues[key] = descriptor
        elif isinstance(owned, Descriptor):
            self._queues[key] = {owned.queue_id: owned, descriptor.queue_id: descriptor}
        else:
            owned[descriptor.queue_id] = descriptor

    def remove(self, key: K, descriptor: Descriptor[W]) -> None:
        """Takes a queue out that was entered under this key."""
        owned = self._queues[key]
        if isinstance(owned, Descriptor):
            del self._queues[key]
            return
        del owned[descriptor.queue_id]
        if len(owned) == 1:
            (self._queues[key],) = owned.values()

    def of(self, key: K) -> Collection[Descriptor[W]]:
        """The key's queues; must not be held while queues come or go."""
        owned = self._queues.get(key)
        if owned is None:
            return ()
        return (owned,) if isinstance(owned, Descriptor) else owned.values()

    def present(self, keys: Collection[K]) -> Collection[K]:
        """Those of the keys that have a queue, in their order; of a few keys all, for looking each up costs no more."""
        if len(keys) <= FEW:
            return keys
        queues = self._queues
        return [key for key in keys if key in queues]

    def keys(self) -> list[K]:
        """The keys that have a queue."""
        return list(self._queues)

    def __len__(self) -> int:
        return len(self._queues)


class _Place(NamedTuple):
    """What a queue may hear: the public messages of a realm, or only those of one channel."""

    realm_id: RealmId
    channel: str | None


class Firehose(Generic[W]):
    """The queues of all realms that hear public messages; others take no room here."""

    __slots__ = ("_narrow_hears", "_queues")

    def __init__(self, *, narrow_hears_public_channels: bool) -> None:
        self._narrow_hears = narrow_hears_public_channels
        self._queues: QueueIndex[_Place, W] = QueueIndex()

    def add(self, descriptor: Descriptor[W]) -> None:
        """Enters a new queue, if it may hear anything here."""
        place = self._place(descriptor)
        if place is not None:
            self._queues.add(place, descriptor)

    def remove(self, descriptor: Descriptor[W]) -> None:
        """Removes a queue."""
        place = self._place(descriptor)
        if place is not None:
            self._queues.remove(place, descriptor)

    def public_listeners(self, realm_id: RealmId, channel: object) -> Iterable[Descriptor[W]]:
        """The queues that may hear a public message to the channel of this name; their narrows are still to be asked."""
        everywhere = self._queues.of(_Place(realm_id, None))
        if not isinstance(channel, str):
            return everywhere
        return chain(everywhere, self._queues.of(_Place(realm_id, channel.lower())))

    def may_hear(self, descriptor: Descriptor[W]) -> bool:
        """Whether the queue may hear anything here."""
        return self._place(descriptor) is not None

    def _place(self, descriptor: Descriptor[W]) -> _Place | None:
        spec = descriptor.spec
        if not descriptor.acceptance.accepts_messages or not self._may_hear(spec):
            return None
        return _Place(spec.realm_id, channel_operand(spec.narrow))

    def _may_hear(self, spec: QueueSpec) -> bool:
        """Guests never hear more than what names them (D-1); members by request, or by the older rule (D11)."""
        asks = spec.all_public_streams or (bool(spec.narrow) and self._narrow_hears)
        return asks and spec.may_access_public_channels


class Directory(Generic[W]):
    """Which queues there are, and whose."""

    __slots__ = ("_by_id", "_firehose", "by_user")

    def __init__(self, *, narrow_hears_public_channels: bool = False) -> None:
        self._by_id: dict[QueueId, Descriptor[W]] = {}
        self.by_user: QueueIndex[UserId, W] = QueueIndex()
        """To look at, not to change."""
        self._firehose: Firehose[W] = Firehose(narrow_hears_public_channels=narrow_hears_public_channels)

    def hear(self, *, narrow_hears_public_channels: bool) -> None:
        """Decides anew who hears public messages, by another setting."""
        self._firehose = Firehose(narrow_hears_public_channels=narrow_hears_public_channels)
        for descriptor in self:
            self._firehose.add(descriptor)

    def add(self, descriptor: Descriptor[W]) -> None:
        """Adds a new queue to all indexes."""
        self._by_id[descriptor.queue_id] = descriptor
        self.by_user.add(descriptor.spec.user_id, descriptor)
        self._firehose.add(descriptor)

    def remove(self, descriptor: Descriptor[W]) -> None:
        """Takes a queue out of every index."""
        del self._by_id[descriptor.queue_id]
        self.by_user.remove(descriptor.spec.user_id, descriptor)
        self._firehose.remove(descriptor)

    def get(self, queue_id: str) -> Descriptor[W] | None:
        """The queue with this id, of any owner."""
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

    def public_listeners(self, realm_id: RealmId, channel: object) -> Iterable[Descriptor[W]]:
        """The queues that may get public messages to this channel; their narrows are checked later."""
        return self._firehose.public_listeners(realm_id, channel)

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
