"""From a pair in a dump, of this release or an older one, to a queue (R2.29-R2.33).

Everything that could fail later is refused here, with a sentence that says what is wrong and where.
"""

from itertools import pairwise
from typing import Annotated, Any, NamedTuple, TypeGuard

import msgspec
from msgspec import Meta, Struct

from tidewire.core.dump.pending import VIRTUAL, wait_again
from tidewire.core.errors import BadRequest
from tidewire.core.events.acceptance import Acceptance
from tidewire.core.events.capabilities import CAPABILITY_NAMES, Capabilities
from tidewire.core.events.encoding import Entry, encode_body, encode_suffix
from tidewire.core.events.narrow import Term
from tidewire.core.ids import QueueId, RealmId, UserId
from tidewire.core.notices.notice import MAX_DEPTH, MAX_ID, USERS_MAY_BE_OBJECTS, is_too_deep
from tidewire.core.notifications.decisions import PendingNotification, missed_of_internal_data
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.queues.event_queue import EventQueue
from tidewire.core.queues.merge_group import size_of
from tidewire.core.queues.registration_size import check_size

DEFAULT_TIMEOUT = 600
"""Seconds that an older release meant by a `queue_timeout` of 0 (R2.6)."""

_Id = Annotated[int, Meta(ge=0, le=MAX_ID)]
_Event = dict[str, Any]


class _Queue(Struct):
    """`event_queue` as it stands in JSON."""

    next_event_id: _Id
    queue: list[_Event]
    id: str | None = None
    virtual_events: dict[str, _Event] | None = None
    newest_pruned_id: Annotated[int, Meta(ge=-1, le=MAX_ID)] | None = None
    resumed: bool = False


class _Descriptor(Capabilities, kw_only=True, frozen=True):
    """A descriptor as it stands in JSON; what a capability is when it is missing, `Capabilities` says (R2.30)."""

    user_profile_id: _Id
    realm_id: _Id
    event_queue: _Queue
    event_types: tuple[str, ...] | None
    apply_markdown: bool
    all_public_streams: bool
    queue_timeout: _Id
    last_connection_time: float
    client_type: str | None = None
    client_type_name: str | None = None
    narrow: tuple[Term, ...] | None = None
    offline: bool = False
    may_access_public_channels: bool = False


_PAIRS = msgspec.json.Decoder(list[msgspec.Raw])
_PAIR = msgspec.json.Decoder(tuple[str, msgspec.Raw])
_DESCRIPTOR = msgspec.json.Decoder(_Descriptor)
_SIZE_CHECK = msgspec.msgpack.Encoder()

MAX_QUEUE_ID = 1000
"""Characters of a queue id; those of every server there was have at most 36."""


OWN = ("flags", "local_message_id")
"""Members of an event that are its recipient's own: without them the rest is shared by many queues."""


class Unreadable(Exception):
    """A pair of a dump is none, or makes no queue.

    Attributes:
        message: why.
        queue_id: the queue's id, if that much could be read.
    """

    def __init__(self, message: str, queue_id: str | None) -> None:
        super().__init__(message)
        self.message = message
        self.queue_id = queue_id


class DumpedQueue(NamedTuple):
    """A queue with what its client registered with, in no shard yet."""

    queue_id: QueueId
    spec: QueueSpec
    queue: EventQueue
    last_active: float
    offline: bool


def split_dump(data: bytes) -> list[msgspec.Raw]:
    """The pairs of a dump, unread.

    Raises:
        BadRequest: it is not a JSON array.
    """
    try:
        return _PAIRS.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"This is no dump, which would be a JSON array of queues: {error}") from None


def read_pair(
    raw: msgspec.Raw | bytes, shared: dict[bytes, bytes], *, registration_bytes: int = 0
) -> DumpedQueue:
    """The queue of one pair; bodies that were read before are taken from `shared`, and new ones put there.

    What it was registered with may take `registration_bytes` of memory; 0: no bound.

    Raises:
        Unreadable: it can't be made a queue.
    """
    queue_id = None
    try:
        queue_id, rest = _PAIR.decode(raw)
        wire = _DESCRIPTOR.decode(rest)
        spec = _spec(wire)
        check_size(spec.kept, registration_bytes)
        return _dumped(queue_id, spec, wire, shared)
    except BadRequest as error:
        raise Unreadable(error.message, queue_id) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(str(error), queue_id) from None
    except RecursionError:
        raise Unreadable(f"more than {MAX_DEPTH} levels of lists and objects", queue_id) from None


def _dumped(queue_id: str, spec: QueueSpec, wire: _Descriptor, shared: dict[bytes, bytes]) -> DumpedQueue:
    if not 0 < len(queue_id) <= MAX_QUEUE_ID:
        raise BadRequest(f"the queue's id must have 1 to {MAX_QUEUE_ID} characters")
    if wire.event_queue.id not in {None, queue_id}:
        raise BadRequest("`event_queue.id` is not the id that the queue stands under")
    # Refuses a narrow that is not supported (R12.4, R12.9).
    Acceptance(spec.acceptance_key)
    queue = _EventReader(spec.user_id, shared).read(wire.event_queue)
    return DumpedQueue(QueueId(queue_id), spec, queue, wire.last_connection_time, wire.offline)


def _spec(wire: _Descriptor) -> QueueSpec:
    name = wire.client_type_name if wire.client_type is None else wire.client_type
    if name is None:
        raise BadRequest("Object missing required field `client_type_name`")
    return QueueSpec(
        user_id=UserId(wire.user_profile_id),
        realm_id=RealmId(wire.realm_id),
        event_types=wire.event_types,
        narrow=wire.narrow or (),
        all_public_streams=wire.all_public_streams,
        may_access_public_channels=wire.may_access_public_channels,
        client_type_name=name,
        capabilities=Capabilities(**{name: getattr(wire, name) for name in CAPABILITY_NAMES}),
        idle_timeout=wire.queue_timeout or DEFAULT_TIMEOUT,
    )


class _EventReader:
    """Reads the events of one queue."""

    def __init__(self, user_id: UserId, shared: dict[bytes, bytes]) -> None:
        self._user_id = user_id
        self._shared = shared
        self._missed: dict[int, PendingNotification] = {}

    def read(self, wire: _Queue) -> EventQueue:
        """The queue, with what waits in it."""
        queue = EventQueue()
        queue.next_event_id = wire.next_event_id
        queue.newest_pruned_id = wire.newest_pruned_id
        queue.resumed = wire.resumed
        queue.entries = [
            self._entry(event, f"event_queue.queue[{place}]") for place, event in enumerate(wire.queue)
        ]
        virtual = wire.virtual_events or {}
        pending = [
            self._entry(event, f'event_queue.virtual_events["{key}"]') for key, event in virtual.items()
        ]
        _check_ids(wire, queue.entries, pending)
        queue.size = size_of(queue.entries) + size_of(pending)
        if pending:
            real = [
                (entry[0], event)
                for entry, event in zip(queue.entries, wire.queue, strict=True)
                if event["type"] == VIRTUAL
            ]
            wait_again(queue, real, zip(pending, virtual.values(), strict=True))
        # In the order of their ids, as `EventQueue` goes through them.
        queue.missed = dict(sorted(self._missed.items())) or None
        return queue

    def _entry(self, event: _Event, where: str) -> Entry:
        kind, event_id = event.get("type"), event.pop("id", None)
        if not isinstance(kind, str) or not kind:
            raise BadRequest(f"`{where}` has no `type`")
        if not _is_id(event_id):
            raise BadRequest(f"`{where}` has no `id` that is a number from 0 up")
        if kind == "message":
            self._note_missed(event_id, event, where)
        own = {name: event[name] for name in OWN if name in event} if kind in USERS_MAY_BE_OBJECTS else {}
        common = {name: value for name, value in event.items() if name not in own} if own else event
        body, suffix = encode_body(common), encode_suffix(own)
        _check_values(event, body + suffix, where)
        return (event_id, self._shared.setdefault(body, body), self._shared.setdefault(suffix, suffix))

    def _note_missed(self, event_id: int, event: _Event, where: str) -> None:
        """Takes out what is not for the client, and keeps what may have to be told (R10.10)."""
        internal = event.pop("internal_data", None)
        if internal is None:
            return
        if not isinstance(internal, dict):
            raise BadRequest(f"`{where}.internal_data` must be an object")
        message = event.get("message")
        named = message if isinstance(message, dict) else {}
        message_id, sender_id = named.get("id"), named.get("sender_id")
        if not _is_id(message_id) or not _is_id(sender_id):
            raise BadRequest(f"`{where}.message` must have an `id` and a `sender_id`")
        group_id = internal.get("mentioned_user_group_id")
        if group_id is not None and not _is_id(group_id):
            raise BadRequest(f"`{where}.internal_data.mentioned_user_group_id` must be an id or null")
        missed = missed_of_internal_data(
            internal, user_id=self._user_id, message_id=message_id, sender_id=sender_id
        )
        if missed is not None:
            self._missed[event_id] = missed


def _is_id(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_ID


def _check_values(event: _Event, encoded: bytes, where: str) -> None:
    """Refuses what few who read events can hold, as in a notice (`core/notices/notice.py`)."""
    try:
        _SIZE_CHECK.encode(event)
    except OverflowError:
        raise BadRequest(f"`{where}` has an integer beyond 64 bits") from None
    if encoded.count(b"[") + encoded.count(b"{") > MAX_DEPTH and is_too_deep([event]):
        raise BadRequest(f"`{where}` has more than {MAX_DEPTH} levels of lists and objects")


def _check_ids(wire: _Queue, real: list[Entry], pending: list[Entry]) -> None:
    ids = [entry[0] for entry in real]
    if any(later <= earlier for earlier, later in pairwise(ids)):
        raise BadRequest("the ids in `event_queue.queue` must rise")
    every = {*ids, *(entry[0] for entry in pending)}
    if len(every) < len(real) + len(pending):
        raise BadRequest("two events in `event_queue` have the same id")
    if every and max(every) >= wire.next_event_id:
        raise BadRequest("`event_queue.next_event_id` must be above the ids of all events")
    pruned = wire.newest_pruned_id
    if pruned is not None and (pruned >= wire.next_event_id or (every and min(every) <= pruned)):
        raise BadRequest("`event_queue.newest_pruned_id` must be below the ids of all events")
