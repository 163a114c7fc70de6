"""Who hears a realm's public messages beyond those that a notice names (R2.9, R4.8).

A queue that is narrowed to a channel stands under that channel, so that a message costs nothing for the queues of
other channels (D-27).
"""

from collections.abc import Iterable
from itertools import chain
from typing import Generic, NamedTuple, TypeVar

from tidewire.core.descriptor import Descriptor, QueueSpec
from tidewire.core.ids import RealmId
from tidewire.core.narrow import channel_operand
from tidewire.core.queue_index import QueueIndex

W = TypeVar("W")


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
        """Takes a queue out."""
        place = self._place(descriptor)
        if place is not None:
            self._queues.remove(place, descriptor)

    def hearing(self, realm_id: RealmId, channel: object) -> Iterable[Descriptor[W]]:
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
