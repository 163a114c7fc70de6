"""One readable line for an event: its id, type and operation, and a short outline of the rest."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tidewire.cli.terminal import ELLIPSIS
from tidewire.escaping import escaped

#: Characters of one value that are shown; long contents would push the other keys off the line.
VALUE_LENGTH = 60

#: What stands at the front of the line, or says nothing to a reader.
NOT_OUTLINED = frozenset({"id", "type", "op", "operation"})

#: Of the many keys of a message, those that tell which one it is.
MESSAGE_KEYS = ("id", "sender_full_name", "display_recipient", "subject", "content")


def outline(event: Mapping[str, Any]) -> str:
    """Returns the line, with control characters escaped."""
    operation = event.get("op", event.get("operation"))
    front = [
        str(event.get("id")),
        str(event.get("type")),
        *([str(operation)] if operation is not None else []),
    ]
    return escaped(" ".join([*front, *_members(event)]))


def _members(event: Mapping[str, Any]) -> Iterator[str]:
    for key, value in event.items():
        if key == "message" and isinstance(value, Mapping):
            yield from (f"{name}={_short(value[name])}" for name in MESSAGE_KEYS if name in value)
        elif key not in NOT_OUTLINED:
            yield f"{key}={_short(value)}"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= VALUE_LENGTH else text[: VALUE_LENGTH - 1] + ELLIPSIS
