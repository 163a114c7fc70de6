"""`presence`: somebody came back online, told in one of three forms (R4.29-R4.33)."""

from typing import Any

from tidewire.core.delivery.dispatch import Dispatch
from tidewire.core.delivery.processors import generic
from tidewire.core.delivery.processors.variants import Variant, deliver_variants
from tidewire.core.errors import InvalidNotice
from tidewire.core.events.acceptance import Event
from tidewire.core.events.capabilities import Capabilities
from tidewire.core.notices.notice import Notice

NO_USER_ID = "presence_without_user_id"
"""The rule that refuses notices of releases so old that they name the user by email alone (R4.32, D-19)."""

NO_SUCH_FORM = "presence_form"
"""The rule that refuses a queue whose form the notice does not bring: older releases sent one of two (R4.29)."""

SLIM = ("type", "user_id", "server_timestamp")
"""What the older form says beside the record itself."""


def check(event: Event) -> None:
    """What is there must be of its type; a notice without `user_id` is accepted, and dropped.

    Raises:
        InvalidNotice: a member is of the wrong type, or the notice says nothing of anybody's presence.
    """
    user_id = event.get("user_id")
    if user_id is None:
        return
    if not isinstance(user_id, int) or isinstance(user_id, bool):
        raise InvalidNotice("Invalid notice: `user_id` of presence must be an integer")
    legacy, modern = _legacy(event), event.get("modern_presence")
    if legacy is None and modern is None:
        raise InvalidNotice("Invalid notice: presence has neither `legacy_presence` nor `modern_presence`")
    for name, record in (("legacy_presence", legacy), ("modern_presence", modern)):
        if record is not None and not isinstance(record, dict):
            raise InvalidNotice(f"Invalid notice: `{name}` of presence must be an object")


def process(notice: Notice, dispatch: Dispatch[Any]) -> None:
    """The newest form, the older one, or the older one with the email address."""
    event = notice.event
    if event.get("user_id") is None:
        generic.deliver(notice, dispatch, event, withheld=NO_USER_ID)
        return
    modern, legacy = event.get("modern_presence"), _legacy(event)
    simplified = {"type": "presence", "presences": {str(event["user_id"]): modern}}
    slim = {name: event[name] for name in SLIM if name in event} | {"presence": legacy}
    full = slim | {"email": event["email"]} if "email" in event else slim
    no_modern = NO_SUCH_FORM if modern is None else None
    no_legacy = NO_SUCH_FORM if legacy is None else None
    as_simplified = (dispatch.represent(simplified, withheld=no_modern),)
    as_slim = (dispatch.represent(slim, withheld=no_legacy),)
    as_full = as_slim if full == slim else (dispatch.represent(full, withheld=no_legacy),)

    def variant_for(capabilities: Capabilities) -> Variant:
        if capabilities.simplified_presence_events:
            return as_simplified
        return as_slim if capabilities.slim_presence else as_full

    deliver_variants(notice, dispatch, variant_for)


def _legacy(event: Event) -> object:
    """The record by kind of client; it was called `presence` before there was another."""
    legacy = event.get("legacy_presence")
    return event.get("presence") if legacy is None else legacy
