"""From a message of the bus to a notice (R8.4), and back for another try (R8.12)."""

from typing import Any, NamedTuple

import msgspec

from tidewire._amqp.broker import Delivery
from tidewire._amqp.names import PARTS
from tidewire._amqp.properties import digest_of_id
from tidewire.bus.anonymous import AnonymousNotices
from tidewire.core.notices.notice import Notice, decode_notice

TRIES_KEY = "failed_tries"
_MARK = b'"failed_tries"'
MOST_TRIES = 4
LONGEST_ID = 128


class Incoming(NamedTuple):
    """A notice that came over the bus.

    Attributes:
        tries: how often it was tried and failed.
        is_nameless: its id was made here.
    """

    delivery: Delivery
    notice: Notice
    tries: int
    is_nameless: bool


def read(delivery: Delivery, anonymous: AnonymousNotices) -> Incoming | None:
    """The notice of a delivery, with an id in any case; None when it is a repeat of one without a name.

    Raises:
        InvalidNotice: there is none in it.
    """
    incoming = _incoming(delivery, anonymous)
    parts = delivery.headers.get(PARTS) if delivery.headers else None
    if incoming is not None and isinstance(parts, str):
        incoming.notice.parted = frozenset(parts.split(","))
    return incoming


def _incoming(delivery: Delivery, anonymous: AnonymousNotices) -> Incoming | None:
    anonymous.delivered(redelivered=delivery.redelivered)
    body, tries = _without_tries(delivery.body)
    if delivery.message_id:
        return Incoming(delivery, _named(body, usable_id(delivery.message_id)), tries, is_nameless=False)
    notice = _named(body, name := anonymous.next_name())
    is_nameless = notice.id == name
    if is_nameless and delivery.redelivered and anonymous.is_repeat(notice.digest):
        return None
    return Incoming(delivery, notice, tries, is_nameless)


def digest_of_nameless(delivery: Delivery) -> bytes | None:
    """The digest of a delivery's notice; None when it has a name, or there is none that can be read."""
    if delivery.message_id:
        return None
    try:
        notice = _named(_without_tries(delivery.body)[0], mark := "?")
    except Exception:  # noqa: BLE001 - should it come again, whoever reads it is told
        return None
    return notice.digest if notice.id == mark else None


def usable_id(message_id: str | bytes) -> str:
    """A message's id as a notice's, which has fewer characters and is text."""
    if isinstance(message_id, bytes):
        return digest_of_id(message_id)
    return message_id if len(message_id) <= LONGEST_ID else digest_of_id(message_id.encode())


def for_another_try(notice: Notice, tries: int) -> bytes:
    """The body of the message that brings a notice back."""
    return msgspec.json.encode(msgspec.json.decode(notice.raw) | {TRIES_KEY: tries})


def _named(body: bytes, name: str) -> Notice:
    """The notice in `body`; `name` becomes its id unless it has one.

    An id further on in the object counts, because the last of two members of one name does.
    """
    text = body.lstrip()
    if not text.startswith(b"{") or text[1:].lstrip().startswith(b"}"):
        return decode_notice(body)  # refuses it
    notice = decode_notice(b'{"id":' + msgspec.json.encode(name) + b"," + text[1:])
    # Without an id of its own the name stays; `null` would have taken its place.
    return notice if notice.id is not None else _named(_without_null_id(body), name)


def _without_null_id(body: bytes) -> bytes:
    members = msgspec.json.decode(body)
    return msgspec.json.encode({key: value for key, value in members.items() if key != "id"})


def _without_tries(body: bytes) -> tuple[bytes, int]:
    if _MARK not in body:
        return body, 0
    try:
        members: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body, 0  # whoever decodes the notice says what is wrong
    if not isinstance(members, dict) or not isinstance(members.get(TRIES_KEY), int):
        return body, 0
    # Anybody may have written it: below nothing it would never be reached, and it must stay a number that can be written.
    tries = min(max(members.pop(TRIES_KEY), 0), MOST_TRIES)
    return msgspec.json.encode(members), tries
