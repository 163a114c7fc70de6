"""`realm_emoji`: one emoji changed, which older clients learn as the whole table (R4.48)."""

from typing import Any

from tidewire.core.delivery.dispatch import Dispatch
from tidewire.core.delivery.processors import generic
from tidewire.core.delivery.processors.variants import deliver_either, without
from tidewire.core.errors import InvalidNotice
from tidewire.core.events.acceptance import Event
from tidewire.core.notices.notice import Notice

TABLE = "realm_emoji"
"""The member with all emoji; private in a notice of one change."""


def check(event: Event) -> None:
    """The change alone tells older clients nothing.

    Raises:
        InvalidNotice: the notice is of one change and has no table.
    """
    if _is_single(event) and not isinstance(event.get(TABLE), dict):
        raise InvalidNotice("Invalid notice: realm_emoji of one change needs all emoji in `realm_emoji`")


def process(notice: Notice, dispatch: Dispatch[Any]) -> None:
    """The change, or the table; a notice of the table alone, from an older application, goes to all."""
    event = notice.event
    if not _is_single(event):
        generic.process(notice, dispatch)
        return
    others = {"type": event["type"], "op": "update", TABLE: event[TABLE]}
    deliver_either(notice, dispatch, "individual_emoji_changes", capable=without(event, TABLE), others=others)


def _is_single(event: Event) -> bool:
    return event.get("op") in ("add", "update_one")
