"""Sections 4.3-4.12 written as naively as can be: a copy for each queue, edited for its client.

Nothing is shared, nothing is made once, and acceptance is no business of this module.
"""

import copy
from collections.abc import Callable

from msgspec.structs import replace

from support.core_rig import spec
from support.events import Json
from tidewire.core.events.capabilities import Capabilities
from tidewire.core.queues.descriptor import QueueSpec

NAMED = "general chat"


def registration(client: Capabilities) -> QueueSpec:
    """What a client with these capabilities registers with."""
    return replace(spec(), capabilities=client)


def shaped(notice_event: Json, client: Capabilities) -> list[Json]:
    """The events that the notice means for the client; none when a marker keeps it from them."""
    event = copy.deepcopy(notice_event)
    edit = EDITS.get(event["type"])
    return [event] if edit is None else edit(event, client)


def _delete_message(event: Json, client: Capabilities) -> list[Json]:
    if not client.empty_topic_name and event.get("topic") == "":
        event["topic"] = NAMED
    if client.bulk_message_deletion:
        return [event]
    ids = event.pop("message_ids")
    return [{**event, "message_id": message_id} for message_id in ids]


def _presence(event: Json, client: Capabilities) -> list[Json]:
    if event.get("user_id") is None:
        return []
    if client.simplified_presence_events:
        if event.get("modern_presence") is None:
            return []
        presences = {str(event["user_id"]): event["modern_presence"]}
        return [{"type": "presence", "presences": presences}]
    record = event.get("legacy_presence")
    if record is None:
        record = event.get("presence")
    if record is None:
        return []
    told = {"type": "presence", "user_id": event["user_id"], "presence": record}
    for name in ("server_timestamp",) if client.slim_presence else ("server_timestamp", "email"):
        if name in event:
            told[name] = event[name]
    return [told]


def _custom_profile_fields(event: Json, client: Capabilities) -> list[Json]:
    if client.pronouns_field_type_supported:
        return [event]
    for field in event["fields"]:
        if field["type"] == 8:
            field["type"] = 1
    return [{"type": "custom_profile_fields", "fields": event["fields"]}]


def _realm_user(event: Json, client: Capabilities) -> list[Json]:
    if event.get("op") == "add" and event.pop("inaccessible_user", False) and client.user_list_incomplete:
        return []
    return [event]


def _user_group(event: Json, client: Capabilities) -> list[Json]:
    sees_deactivated = client.include_deactivated_groups
    if event.get("op") == "update" and event.pop("deactivated", False) and not sees_deactivated:
        return []
    if event.get("op") == "add" and event.pop("for_reactivation", False) and sees_deactivated:
        return []
    return [event]


def _stream(event: Json, client: Capabilities) -> list[Json]:
    if event.get("op") == "create" and event.pop("for_unarchiving", False) and client.archived_channels:
        return []
    if event.get("op") == "delete" and event.pop("for_archiving", False) and client.archived_channels:
        return []
    return [event]


def _user_topic(event: Json, client: Capabilities) -> list[Json]:
    if not client.empty_topic_name and event["topic_name"] == "":
        event["topic_name"] = NAMED
    return [event]


def _typing(event: Json, client: Capabilities) -> list[Json]:
    if event.get("message_type") == "stream" and not client.empty_topic_name and event["topic"] == "":
        event["topic"] = NAMED
    return [event]


def _update_message_flags(event: Json, client: Capabilities) -> list[Json]:
    if (event["op"], event["flag"]) == ("remove", "read") and not client.empty_topic_name:
        for detail in event.get("message_details", {}).values():
            if detail["type"] == "stream" and detail["topic"] == "":
                detail["topic"] = NAMED
    return [event]


def _realm_emoji(event: Json, client: Capabilities) -> list[Json]:
    if event["op"] == "update":
        return [event]
    table = event.pop("realm_emoji")
    if client.individual_emoji_changes:
        return [event]
    return [{"type": "realm_emoji", "op": "update", "realm_emoji": table}]


EDITS: dict[str, Callable[[Json, Capabilities], list[Json]]] = {
    "delete_message": _delete_message,
    "presence": _presence,
    "custom_profile_fields": _custom_profile_fields,
    "realm_user": _realm_user,
    "user_group": _user_group,
    "stream": _stream,
    "user_topic": _user_topic,
    "typing": _typing,
    "update_message_flags": _update_message_flags,
    "realm_emoji": _realm_emoji,
}
