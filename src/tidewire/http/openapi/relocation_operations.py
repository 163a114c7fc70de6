"""The routes by which users move between shards, and operators have them moved (`http/views/shards.py`)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tidewire.core import errors
from tidewire.http.openapi.rows import Access, Operation, Schema
from tidewire.http.openapi.schemas import BOOLEAN, NATURAL, TEXT, members

_NULLABLE_NATURAL: Schema = MappingProxyType({"type": ["integer", "null"], "minimum": 0})
_NULLABLE_TEXT: Schema = MappingProxyType({"type": ["string", "null"]})
_PORTS: Schema = MappingProxyType({"type": "array", "items": NATURAL})
_SHARDS: Schema = MappingProxyType({"type": "array", "items": {"type": "array"}})

STATUS: Mapping[str, Schema] = MappingProxyType(
    {
        "index": {**NATURAL, "description": "Which shard of the map this one is."},
        "port": NATURAL,
        "version": {**NATURAL, "description": "Of the map that it lives under."},
        "before": {
            **_NULLABLE_NATURAL,
            "description": "Of the map before, while a hand-over is under way; else null.",
        },
        "before_map": {**_NULLABLE_TEXT, "description": "That map, as JSON."},
        "unsure": {
            **BOOLEAN,
            "description": "It began with a map of which it does not know yet whether it is in force.",
        },
        "agreed": {**BOOLEAN, "description": "It knows that all other shards know the map."},
        "closed": {**NATURAL, "description": "The newest version by which nobody is left to hand over."},
        "splits_by": {
            **NATURAL,
            "description": "The version by which it splits notices; 0 while some are split by an older one.",
        },
        "awaited": {**_PORTS, "description": "The shards that have not finished, as far as it knows."},
        "users": {**NATURAL, "description": "Users with a queue here."},
        "queues": NATURAL,
        "left": {**NATURAL, "description": "Users still to be handed over, as far as it knows."},
        "moved_away": {**NATURAL, "description": "Users handed over since the process began."},
        "moved_here": {**NATURAL, "description": "Users taken since the process began."},
        "waits": {
            "type": ["object", "null"],
            "description": "What keeps a hand-over from going on (`reason`), and for how many `seconds`; null when nothing does.",
        },
        "longest_hold_ms": {
            "type": "number",
            "description": "For how long a user was held at most, in the newest hand-over.",
        },
    }
)

_MAP = members(
    {
        "version": NATURAL,
        "shards": {**_SHARDS, "description": "Pairs of host and port."},
        "default": _PORTS,
        "hosts": {"type": "object"},
        "patterns": _SHARDS,
    }
)


def _example() -> dict[str, Any]:
    return {
        "after": {
            "version": 2,
            "shards": [["127.0.0.1", 9800], ["127.0.0.1", 9801]],
            "default": [0, 1],
            "hosts": {},
            "patterns": [],
        }
    }


_MAPS = members({"after": _MAP}, {"before": _MAP})

_MOVE = members({"to": {**NATURAL, "description": "A port."}, "users": NATURAL, "queues": NATURAL})

SHARDS: Mapping[str, Operation] = MappingProxyType(
    {
        "GET /api/internal/shards": Operation(
            "Tells how far a shard is. Under which map it lives, and what is still to be handed over.",
            Access.INTERNAL,
            (errors.NotFound, errors.Unavailable),
            STATUS,
            has_form=False,
        ),
        "POST /api/internal/shards/map": Operation(
            "Puts another map in force on one shard. Users who are elsewhere by it are handed over once all shards know it.",
            Access.INTERNAL,
            (errors.NotFound, errors.ShardMapDiffers, errors.PayloadTooLarge, errors.Unavailable),
            STATUS,
            has_form=False,
            bodies={"application/json": _MAPS},
            body_example=_example(),
        ),
        "POST /api/internal/shards/plan": Operation(
            "Tells how many users a map would have this shard hand over. Nothing changes.",
            Access.INTERNAL,
            (errors.NotFound, errors.PayloadTooLarge),
            {"moves": {"type": "array", "items": _MOVE}},
            has_form=False,
            bodies={"application/json": _MAPS},
            body_example=_example(),
        ),
        "POST /api/internal/shards/users": Operation(
            "Takes what another shard hands over. For shards alone; answered once it is durable.",
            Access.INTERNAL,
            (errors.NotFound, errors.ShardMapDiffers, errors.PayloadTooLarge, errors.Unavailable),
            {},
            has_form=False,
            bodies={"application/msgpack": TEXT},
            body_example="...",
        ),
    }
)
