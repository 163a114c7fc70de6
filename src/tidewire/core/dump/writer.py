"""From a queue to its pair in a dump (R2.29)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from tidewire.core.dump.pending import VIRTUAL
from tidewire.core.events.capabilities import CAPABILITY_NAMES
from tidewire.core.events.encoding import Entry, encode_entry, encode_suffix
from tidewire.core.notifications.decisions import PendingNotification
from tidewire.core.notifications.triggers import EMAIL_TRIGGERS, PUSH_TRIGGERS
from tidewire.core.queues.event_queue import EventQueue
from tidewire.core.queues.image import Imaged
from tidewire.core.queues.merge_group import Group, entry_id, join

_ENCODER = msgspec.json.Encoder()

_PUSH_FIELDS: Mapping[str, str] = MappingProxyType({trigger: field for field, trigger in PUSH_TRIGGERS})
_EMAIL_FIELDS: Mapping[str, str] = MappingProxyType({trigger: field for field, trigger in EMAIL_TRIGGERS})
"""For each trigger the field that causes it."""


def write_pair(imaged: Imaged) -> bytes:
    """The pair `[queue id, descriptor]` of a queue, as it is now; the queue is left as it is."""
    spec = imaged.spec
    descriptor: dict[str, Any] = {
        "user_profile_id": spec.user_id,
        "realm_id": spec.realm_id,
        "queue_timeout": spec.idle_timeout,
        "event_types": spec.event_types,
        "last_connection_time": imaged.last_active,
        "all_public_streams": spec.all_public_streams,
        "narrow": spec.narrow,
        "client_type_name": spec.client_type_name,
        **{name: getattr(spec.capabilities, name) for name in CAPABILITY_NAMES},
        "offline": imaged.offline,
        "may_access_public_channels": spec.may_access_public_channels,
        "event_queue": _event_queue(imaged.queue_id, imaged.queue),
    }
    return _ENCODER.encode((imaged.queue_id, descriptor))


def _event_queue(queue_id: str, queue: EventQueue) -> dict[str, Any]:
    real, virtual = _settled(queue)
    missed = queue.missed or {}
    stored: dict[str, Any] = {
        "id": queue_id,
        "next_event_id": queue.next_event_id,
        "queue": [msgspec.Raw(_event(entry, missed.get(entry[0]))) for entry in real],
        "virtual_events": {key: msgspec.Raw(encode_entry(entry)) for key, entry in virtual.items()},
    }
    if queue.newest_pruned_id is not None:
        stored["newest_pruned_id"] = queue.newest_pruned_id
    if queue.resumed:
        stored["resumed"] = True
    return stored


def _settled(queue: EventQueue) -> tuple[list[Entry], dict[str, Entry]]:
    """The events as a read would give them now; those of open groups that others may still join stand apart."""
    real = queue.entries.copy()
    virtual: dict[str, Entry] = {}
    for kind, groups in queue.open.items():
        for key, group in groups.items():
            if kind == VIRTUAL:
                (virtual[key],) = _merged(group)
            else:
                real += _merged(group)
    for group in queue.closed:
        real += _merged(group)
    real.sort(key=entry_id)
    return real, virtual


def _merged(group: Group) -> list[Entry]:
    if len(group.contributors) == 1:
        return group.contributors
    try:
        return join(group.kind, group.rule, group.contributors).entries()
    except Exception:  # noqa: BLE001 - whatever an application's rule does: no event is lost (rule 7 of `core/queues/event_queue.py`)
        return group.contributors


def _event(entry: Entry, missed: PendingNotification | None) -> bytes:
    if missed is None:
        return encode_entry(entry)
    event_id, body, suffix = entry
    return encode_entry((event_id, body, suffix + encode_suffix({"internal_data": _internal_data(missed)})))


def _internal_data(missed: PendingNotification) -> dict[str, Any]:
    """R5.4, as far as it matters to what may come of it: what is left out counts as false (R5.31)."""
    internal: dict[str, Any] = {"mentioned_user_group_id": missed.mentioned_user_group_id}
    if missed.push is not None:
        internal[_PUSH_FIELDS[missed.push]] = True
    if missed.email is not None:
        internal[_EMAIL_FIELDS[missed.email]] = True
    if missed.push_notified:
        internal["push_notified"] = True
    if missed.email_notified:
        internal["email_notified"] = True
    return internal
