"""Queues by a key, each key's in order of creation."""

from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

from tidewire.core.descriptor import Descriptor
from tidewire.core.ids import QueueId

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
        """Enters a queue."""
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
