"""`custom_profile_fields`: the realm's profile fields, for clients that know one kind less (R4.34, R4.35)."""

from typing import Any

from tidewire.core.delivery.dispatch import Dispatch
from tidewire.core.delivery.processors.variants import deliver_either
from tidewire.core.errors import InvalidNotice
from tidewire.core.events.acceptance import Event
from tidewire.core.notices.notice import Notice

SHORT_TEXT = 1
PRONOUNS = 8
"""Kinds of profile field: their `type` on the wire."""


def check(event: Event) -> None:
    """The list is the event.

    Raises:
        InvalidNotice: `fields` is not a list.
    """
    if not isinstance(event.get("fields"), list):
        raise InvalidNotice("Invalid notice: `fields` of custom_profile_fields must be a list")


def process(notice: Notice, dispatch: Dispatch[Any]) -> None:
    """Pronouns as short text for those who don't know them; their copy has the fields and nothing else."""
    event = notice.event
    older = {"type": event["type"], "fields": [_older(field) for field in event["fields"]]}
    deliver_either(notice, dispatch, "pronouns_field_type_supported", capable=event, others=older)


def _older(field: object) -> object:
    if isinstance(field, dict) and field.get("type") == PRONOUNS:
        return {**field, "type": SHORT_TEXT}
    return field
