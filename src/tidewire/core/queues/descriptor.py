"""The record of one registered client: who owns the queue, what it accepts, its waiter and its times."""

from typing import Generic, TypeVar

from msgspec import Struct

from tidewire.core.deadlines import NOT_BOOKED
from tidewire.core.events.acceptance import Acceptance, AcceptanceKey, acceptance_key
from tidewire.core.events.capabilities import Capabilities
from tidewire.core.events.narrow import Term
from tidewire.core.events.shape import Shape, client_class
from tidewire.core.history.history import QueueHistory
from tidewire.core.ids import QueueId, RealmId, UserId
from tidewire.core.queues.event_queue import EventQueue
from tidewire.core.queues.registration_size import Kept

W = TypeVar("W")


class QueueSpec(Struct, frozen=True, kw_only=True):
    """What a client registered with (R2.1): plain, permanent, and kept with the queue.

    Attributes:
        event_types: types the queue asked for; None means all (R3.1).
        may_access_public_channels: the owner's access when the queue was made (D-1, D11).
        idle_timeout: seconds without a poll after which the queue expires (R2.5).
        rights: digest of what the owner's right to the queue rested on when it was made; empty when unknown.
    """

    user_id: UserId
    realm_id: RealmId
    event_types: tuple[str, ...] | None = None
    narrow: tuple[Term, ...] = ()
    all_public_streams: bool = False
    may_access_public_channels: bool = False
    client_type_name: str = ""
    capabilities: Capabilities = Capabilities()
    idle_timeout: int = 600
    rights: bytes = b""

    @property
    def acceptance_key(self) -> AcceptanceKey:
        """Under which the queue's acceptance is shared."""
        return acceptance_key(self.event_types, self.narrow, self.capabilities)

    @property
    def kept(self) -> Kept:
        """What queues that were registered alike share."""
        return (self.event_types, self.narrow, self.capabilities, self.client_type_name)

    @property
    def shape_key(self) -> tuple[Capabilities, str]:
        """Under which the queue's shape is shared."""
        return (self.capabilities, client_class(self.client_type_name))


class Descriptor(Generic[W]):
    """One queue with its owner and its connection state.

    Attributes:
        waiter: token of the poll that waits on this queue; at most one (R2.18).
        ready: the queue stands in the list of those whose waiter is to be answered; the waiter may have left since.
        heartbeat_at: when the waiting poll is due a heartbeat (R2.12).
        heartbeat_second: the bucket of the heartbeat deadlines that the descriptor stands in.
        idle_second: the bucket of the collector's deadlines that it stands in.
        last_active: when a poll last came, was answered, or was lost (D-3, D-4).
        offline: unpolled for so long that its owner counts as gone (R2.23).
        history: what became of its events of late.
        sent_at: when its events were last read for an answer; 0: never in this process.
        displacements: how many polls displaced each other of late (D-14), as of `displaced_at`.
    """

    __slots__ = (
        "acceptance",
        "displaced_at",
        "displacements",
        "heartbeat_at",
        "heartbeat_second",
        "history",
        "idle_second",
        "last_active",
        "offline",
        "queue",
        "queue_id",
        "ready",
        "sent_at",
        "shape",
        "spec",
        "waiter",
    )

    def __init__(
        self,
        queue_id: QueueId,
        spec: QueueSpec,
        shape: Shape,
        acceptance: Acceptance,
        *,
        history: QueueHistory,
        now: float,
    ) -> None:
        self.queue_id = queue_id
        self.spec = spec
        self.shape = shape
        self.acceptance = acceptance
        self.queue = EventQueue()
        self.history = history
        self.sent_at = 0.0
        self.waiter: W | None = None
        self.ready = False
        self.heartbeat_at = 0.0
        self.heartbeat_second = NOT_BOOKED
        self.idle_second = NOT_BOOKED
        self.last_active = now
        self.offline = False
        self.displacements = 0.0
        self.displaced_at = 0.0

    @property
    def hears_messages(self) -> bool:
        """Whether a message would reach its owner here: it accepts them, and its owner is not gone (R5.12)."""
        return self.acceptance.accepts_messages and not self.offline

    def idle_due(self, offline_after: float) -> float:
        """When the collector must look at the queue next, if nobody polls it (R2.22, R2.23)."""
        expires = self.last_active + self.spec.idle_timeout
        if self.offline or not offline_after:
            return expires
        return min(expires, self.last_active + offline_after)
