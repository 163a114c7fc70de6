"""Events and notices as tests write them."""

import json
from collections.abc import Sequence
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


def decode(data: bytes) -> Json:
    """A JSON object."""
    decoded = json.loads(data)
    assert isinstance(decoded, dict)
    return decoded


def notice(event: Json, users: Sequence[int | Json] = (1,), **members: Any) -> bytes:
    """A notice as a publisher writes it."""
    return json.dumps({"event": event, "users": list(users), **members}).encode()


def flags(op: str, flag: str, messages: Sequence[int], *, for_all: bool = False, **members: Any) -> Json:
    """A change of flags, as the application sends it."""
    event = {"type": "update_message_flags", "op": op, "operation": op, "flag": flag}
    return {**event, "messages": list(messages), "all": for_all, **members}


def state_of_flags(events: Sequence[Json], messages: Sequence[int]) -> set[tuple[str, int]]:
    """The (flag, message) pairs that are set once a client has followed the events."""
    state: set[tuple[str, int]] = set()
    for event in events:
        if event["type"] == "update_message_flags":
            touched = messages if event.get("all") else event["messages"]
            change = {(event["flag"], message) for message in touched}
            state = state | change if event["op"] == "add" else state - change
    return state
