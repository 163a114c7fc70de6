"""Notices: what a publisher sends, an event and the users it is for, checked on arrival (R4.1).

Everything that could make a notice fail later is refused here, before anything is journalled.
"""

import hashlib
from collections.abc import Collection, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from tidewire.core.errors import InvalidNotice
from tidewire.core.ids import RealmId, UserId
from tidewire.core.notices.deduplication import DIGEST_SIZE
from tidewire.core.notices.json_list import BETWEEN_ANY, ListReader, TooLong
from tidewire.core.slices import Work

MAX_ID = 2**63 - 1
"""Ids are kept as signed 64-bit integers, here and in every database they come from."""

MAX_UNSIGNED = 2**64 - 1
"""Of other integers in events."""

_Id = Annotated[int, Meta(ge=0, le=MAX_ID)]

MAX_DEPTH = 100
"""Levels of lists and objects in an event. JSON is read and written by recursion, which ends at a depth that hangs on
where it is called: what could be read here must be readable in recovery too, and be encoded for every queue."""

DECODING = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What the decoder raises for what is no JSON, or not what was asked for."""

TOO_DEEP = f"Invalid notice: more than {MAX_DEPTH} levels of lists and objects"

_NESTED = frozenset({dict, list})

NOTHING_MORE: Mapping[str, Any] = MappingProxyType({})
"""What a bare id says of its user."""

USERS_MAY_BE_OBJECTS: frozenset[str] = frozenset({"message", "update_message"})
"""Types whose notices say more about each user than the id (R4.1)."""


class _Wire(Struct, forbid_unknown_fields=True):
    """A notice as it stands in JSON."""

    event: dict[str, Any]
    users: list[int | dict[str, Any]]
    id: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    realm_id: _Id | None = None
    traceparent: str | None = None
    whole: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")] | None = None
    hearers: tuple[_Id, _Id] | None = None


class _Outline(Struct, forbid_unknown_fields=True):
    """A notice whose two long members, the users and the event, are left as raw JSON."""

    event: msgspec.Raw
    users: msgspec.Raw
    id: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    realm_id: _Id | None = None
    traceparent: str | None = None
    whole: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")] | None = None
    hearers: tuple[_Id, _Id] | None = None


MAX_NOTICE_BYTES = 4 * 1024 * 1024
"""Of a notice that comes from outside: 100,000 users with their flags. It is copied, checked and written as a whole, each
of which takes a millisecond or two for that much."""

MAX_EVENT_VALUES = 50_000
"""Commas, brackets and escapes of the event in a large notice. What decoding and encoding take goes by their number
rather than by bytes: some 4 ms for these."""

TOO_LARGE = f"Invalid notice: larger than {MAX_NOTICE_BYTES} bytes; name its users in several notices"

LARGE_BYTES = 64 * 1024
"""Of a notice from which on it is decoded in slices: a millisecond for the worst of this size."""

_DECODER = msgspec.json.Decoder(_Wire)
_OUTLINE_DECODER = msgspec.json.Decoder(_Outline)
_EVENT_DECODER = msgspec.json.Decoder(dict[str, Any])
_USERS_DECODER = msgspec.json.Decoder(list[int | dict[str, Any]])
_SIZE_CHECK = msgspec.msgpack.Encoder()
_DIGEST_ENCODER = msgspec.json.Encoder(order="deterministic")


class Notice:
    """One checked notice.

    Attributes:
        raw: the JSON it was read from; what the journal keeps.
        event: the event template, with a string `type`.
        kind: the event's type.
        users: for each user, in order and once, what the notice says of them beyond the id (D11).
        id: the publisher's name for the notice; a repeat of it is recognised.
        digest: digest of the content, when there is an id; of a part of a notice, the digest of the whole.
        realm_id: when given, only queues of this realm get the event.
        aside: users for whom it is remembered by name whether they were given the notice (`core/relocation/relocations.py`).
        parted: the bus queues that got a part each, when its publisher has split it by a map; else None.
        hops: how often it was sent on before it came here; what its publisher has split counts as sent on once.
        is_detour: it is a further part of a notice, for some of its users, beside the shard's own.
        passed: users whom it names, or would reach, who were given it before.
        hearers: of a part of a public message, for which of those whom it does not name it is: index and count, for users
            whose id modulo the count is the index; a count of 0 is for nobody.
        traceparent: the W3C trace context that it belongs to, as it came; tracing reads it.
    """

    __slots__ = (
        "aside",
        "digest",
        "event",
        "hearers",
        "hops",
        "id",
        "is_detour",
        "kind",
        "parted",
        "passed",
        "raw",
        "realm_id",
        "traceparent",
        "users",
    )

    def __init__(
        self,
        raw: bytes,
        wire: _Wire | _Outline,
        event: dict[str, Any],
        users: dict[UserId, Mapping[str, Any]],
        digest: bytes,
    ) -> None:
        self.raw = raw
        self.event = event
        self.kind: str = event["type"]
        self.id = wire.id
        self.digest = digest
        self.users = users
        self.realm_id = None if wire.realm_id is None else RealmId(wire.realm_id)
        self.traceparent = wire.traceparent
        self.hearers = wire.hearers
        self.aside: Collection[UserId] = ()
        self.parted: frozenset[str] | None = None
        self.hops = 0
        self.is_detour = False
        self.passed: Collection[UserId] = ()

    def may_hear(self, user_id: UserId) -> bool:
        """Whether somebody whom it does not name may hear of it: a part of a public message is for some alone."""
        if self.hearers is None:
            return True
        index, count = self.hearers
        return count > 0 and user_id % count == index

    def exclude_users(self, passed: Collection[UserId]) -> None:
        """Takes out users who were given it before."""
        self.passed = passed
        for user_id in passed:
            self.users.pop(user_id, None)


def decode_notice(raw: bytes) -> Notice:
    """The notice in `raw`, of whatever size.

    Raises:
        InvalidNotice: `raw` is not JSON, or not of the form that the documentation gives.
    """
    try:
        wire = _DECODER.decode(raw)
    except DECODING as error:
        raise InvalidNotice(f"Invalid notice: {error}") from None
    kind = _kind_of(wire.event)
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and is_too_deep([wire.event, wire.users]):
        raise InvalidNotice(TOO_DEEP)
    _check_integers(wire.event, wire.users, kind)
    # Before the users are told apart, which takes their ids out of what is digested.
    digest = b"" if wire.id is None else _digest(wire)
    return Notice(raw, wire, wire.event, _users(kind, wire.users), digest)


def decode_in_slices(raw: bytes) -> Work[Notice]:
    """Decodes a notice from an untrusted sender: bounded, and in slices if it is large.

    Raises:
        InvalidNotice: as `decode_notice`; or it is larger than a notice may be.
    """
    if len(raw) <= LARGE_BYTES:
        return decode_notice(raw)
    check_size(raw)
    yield
    try:
        outline = _OUTLINE_DECODER.decode(raw)
    except DECODING as error:
        raise InvalidNotice(f"Invalid notice: {error}") from None
    yield
    event = _event_of(bytes(outline.event))
    kind = _kind_of(event)
    digest = None if outline.id is None or outline.whole is not None else _Digest(event, outline.realm_id)
    yield
    users = yield from _users_in_slices(kind, bytes(outline.users), digest)
    name = b"" if outline.whole is None or outline.id is None else bytes.fromhex(outline.whole)
    return Notice(raw, outline, event, users, name if digest is None else digest.value())


def check_size(raw: bytes) -> None:
    """Refuses a notice that is too large to be looked at.

    Raises:
        InvalidNotice: it is.
    """
    if len(raw) > MAX_NOTICE_BYTES:
        raise InvalidNotice(TOO_LARGE)


def _event_of(raw: bytes) -> dict[str, Any]:
    """The event of a large notice."""
    values = sum(map(raw.count, (b",", b"{", b"[", b"\\")))
    if values > MAX_EVENT_VALUES:
        raise InvalidNotice(
            f"Invalid notice: the event has {values} commas, brackets and escapes, and may have {MAX_EVENT_VALUES}"
        )
    try:
        event = _EVENT_DECODER.decode(raw)
    except DECODING as error:
        raise InvalidNotice(f"Invalid notice: the event is wrong: {error}") from None
    _check_values(event, "event")
    return event


def _users_in_slices(
    kind: str, raw: bytes, digest: "_Digest | None"
) -> Work[dict[UserId, Mapping[str, Any]]]:
    """The users of a large notice."""
    known: dict[UserId, Mapping[str, Any]] = {}
    if not raw.startswith(b"["):
        raise InvalidNotice("Invalid notice: `users` is not a list")
    reader = ListReader(raw, _USERS_DECODER.decode, between=BETWEEN_ANY, most=LARGE_BYTES)
    shared: dict[tuple[str, ...], Mapping[str, Any]] = {}
    first = 0
    try:
        for chunk in reader.chunks():
            users = list(chunk)
            _check_values(users, "users")
            if digest is not None:
                digest.add(users)
            found = _users(kind, users, first)
            for user_id in known.keys() & found.keys():
                del found[user_id]
            _share(found, shared)
            known.update(found)
            first += len(chunk)
            yield
    except TooLong:
        raise InvalidNotice(f"Invalid notice: users[{first}] has more than {LARGE_BYTES} bytes") from None
    except DECODING as error:
        raise InvalidNotice(f"Invalid notice: `users` is wrong from the item {first} on: {error}") from None
    return known


def _share(users: dict[UserId, Mapping[str, Any]], shared: dict[tuple[str, ...], Mapping[str, Any]]) -> None:
    """Has users of whom nothing but the same flags is said share one object: 100,000 take 30 ms to be let go of."""
    for user_id, more in users.items():
        if len(more) == 1 and "flags" in more:
            users[user_id] = shared.setdefault(tuple(more["flags"]), more)


def _kind_of(event: dict[str, Any]) -> str:
    kind = event.get("type")
    if not isinstance(kind, str) or not kind:
        raise InvalidNotice("Invalid notice: the event has no `type`")
    return kind


def _check_values(value: dict[str, Any] | list[Any], where: str) -> None:
    if is_too_deep([value]):
        raise InvalidNotice(TOO_DEEP)
    try:
        _SIZE_CHECK.encode(value)
    except OverflowError:
        raise InvalidNotice(
            f"Invalid notice: {_too_large(where, value)} is an integer beyond 64 bits"
        ) from None


def _check_integers(event: dict[str, Any], users: list[int | dict[str, Any]], kind: str) -> None:
    """Refuses integers beyond 64 bits: few who read events can hold them.

    MessagePack can't either, and finds out faster than any code of ours would.
    """
    try:
        _SIZE_CHECK.encode(event)
        if kind in USERS_MAY_BE_OBJECTS:
            _SIZE_CHECK.encode(users)
    except OverflowError:
        where = _too_large("event", event) or _too_large("users", users)
        raise InvalidNotice(f"Invalid notice: {where} is an integer beyond 64 bits") from None


def _too_large(where: str, value: object) -> str | None:
    """The name of the first integer that is too large, if there is one below `where`."""
    if isinstance(value, int):
        return None if -MAX_ID - 1 <= value <= MAX_UNSIGNED else where
    if isinstance(value, dict):
        inner = ((f'{where}["{key}"]', item) for key, item in value.items())
    elif isinstance(value, list):
        inner = ((f"{where}[{index}]", item) for index, item in enumerate(value))
    else:
        return None
    return next((found for name, item in inner if (found := _too_large(name, item))), None)


def is_too_deep(level: list[Any]) -> bool:
    """Whether there are more than `MAX_DEPTH` levels of lists and objects below these."""
    for _ in range(MAX_DEPTH):
        # JSON makes exact types, and empty ones go no deeper: a message has thousands of empty lists of flags.
        level = [
            value
            for outer in level
            for value in (outer.values() if type(outer) is dict else outer)
            if value and type(value) in _NESTED
        ]
    return bool(level)


def _users(kind: str, users: list[int | dict[str, Any]], first: int = 0) -> dict[UserId, Mapping[str, Any]]:
    """Each user once: a notice's users are a set (D11); what the first mention says counts.

    `first` is the place of the first of these among all users of the notice.
    """
    known = _ids_alone(users)
    if not known and kind in USERS_MAY_BE_OBJECTS:
        known = _objects_alone(users)
    return known or _users_one_by_one(kind, users, first)


def _ids_alone(users: list[Any]) -> dict[UserId, Mapping[str, Any]]:
    """The users of a notice that gives right ids and no more, as nearly all do; else nothing.

    Checked as a whole: for thousands of users that takes a tenth of the time.
    """
    try:
        known = dict.fromkeys(users, NOTHING_MORE)
    except TypeError:  # an object can't be a key
        return {}
    return known if known and min(known) >= 0 and max(known) <= MAX_ID else {}


def _objects_alone(users: list[Any]) -> dict[UserId, Mapping[str, Any]]:
    """The users of a notice that says more of each, if all of it is right and no user comes twice; else nothing.

    Checked as a whole too; what is wrong, the slow way finds out.
    """
    try:
        ids = [user["id"] for user in users]
        known = dict(zip(ids, users, strict=True))
    except (TypeError, KeyError):  # an id alone, no id, or an id that can't be a key
        return {}
    flags = [user["flags"] for user in users if "flags" in user]
    right = set(map(type, ids)) == {int} and set(map(type, flags)) <= {list} and len(known) == len(users)
    if (
        not right
        or min(ids) < 0
        or max(ids) > MAX_ID
        or not set(map(type, chain.from_iterable(flags))) <= {str}
    ):
        return {}
    for user in users:
        del user["id"]
    return known


def _users_one_by_one(
    kind: str, users: list[int | dict[str, Any]], first: int
) -> dict[UserId, Mapping[str, Any]]:
    objects_allowed = kind in USERS_MAY_BE_OBJECTS
    known: dict[UserId, Mapping[str, Any]] = {}
    for position, user in enumerate(users, first):
        if isinstance(user, int):
            _check_id(user, f"users[{position}]")
            known.setdefault(UserId(user), NOTHING_MORE)
        elif not objects_allowed:
            raise InvalidNotice(f"Invalid notice: users[{position}] must be an id for events of type {kind}")
        else:
            _check_id(user.get("id"), f"users[{position}].id")
            if "flags" in user:
                _check_flags(user["flags"], f"users[{position}].flags")
            known.setdefault(UserId(user["id"]), {key: value for key, value in user.items() if key != "id"})
    return known


def _check_id(value: object, where: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_ID:
        raise InvalidNotice(f"Invalid notice: {where} must be an integer from 0 to {MAX_ID}")


def _check_flags(value: object, where: str) -> None:
    if not isinstance(value, list) or not all(isinstance(flag, str) for flag in value):
        raise InvalidNotice(f"Invalid notice: {where} must be a list of strings")


def _digest(wire: _Wire) -> bytes:
    """Of the content alone: a retry may carry another trace, and other spacing."""
    if wire.whole is not None:
        return bytes.fromhex(wire.whole)
    content = _DIGEST_ENCODER.encode((wire.event, wire.users, wire.realm_id))
    return hashlib.blake2b(content, digest_size=DIGEST_SIZE).digest()


class _Digest:
    """The digest of a large notice, computed over its users a slice at a time."""

    def __init__(self, event: dict[str, Any], realm_id: int | None) -> None:
        self._hash = hashlib.blake2b(b"[%b,[" % _DIGEST_ENCODER.encode(event), digest_size=DIGEST_SIZE)
        self._end = b"],%b]" % _DIGEST_ENCODER.encode(realm_id)
        self._between = b""

    def add(self, users: list[int | dict[str, Any]]) -> None:
        """Takes the next of the users."""
        if users:
            self._hash.update(self._between + _DIGEST_ENCODER.encode(users)[1:-1])
            self._between = b","

    def value(self) -> bytes:
        """The digest, once all users were taken."""
        self._hash.update(self._end)
        return self._hash.digest()
