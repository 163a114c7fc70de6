"""Schemas of parameters' values: the bounds are those that `http/parameters.py` checks."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

from tidewire.core.narrow import IS_OPERANDS, OPERATORS
from tidewire.http.description.rows import Schema
from tidewire.http.parameters import MAX_INTEGER, MAX_ITEM_LENGTH, MAX_LIST_ITEMS

TEXT: Schema = MappingProxyType({"type": "string"})
ITEM: Schema = MappingProxyType({"type": "string", "maxLength": MAX_ITEM_LENGTH})
BOOLEAN: Schema = MappingProxyType({"type": "boolean"})
NULLABLE_BOOLEAN: Schema = MappingProxyType({"type": ["boolean", "null"]})
INTEGER: Schema = MappingProxyType({"type": "integer", "minimum": -MAX_INTEGER - 1, "maximum": MAX_INTEGER})
NATURAL: Schema = MappingProxyType({"type": "integer", "minimum": 0, "maximum": MAX_INTEGER})
POSITIVE: Schema = MappingProxyType({"type": "integer", "minimum": 1, "maximum": MAX_INTEGER})
STRINGS: Schema = MappingProxyType({"type": ["array", "null"], "items": ITEM, "maxItems": MAX_LIST_ITEMS})
SECONDS: Schema = MappingProxyType({"anyOf": [NATURAL, {"const": "mobile"}, {"type": "null"}]})


def _pair(operators: Iterable[str], operand: Schema) -> Schema:
    return {
        "type": "array",
        "prefixItems": [{"enum": sorted(operators)}, operand],
        "minItems": 2,
        "maxItems": 2,
    }


NARROW: Schema = MappingProxyType(
    {
        "type": ["array", "null"],
        "items": {
            "anyOf": [
                _pair(OPERATORS.keys() - {"is"}, ITEM),
                _pair({"is"}, {"enum": sorted(IS_OPERANDS)}),
            ]
        },
        "maxItems": MAX_LIST_ITEMS,
    }
)


def defaulting(schema: Schema, default: Any) -> Schema:
    """The schema with what counts when the parameter is absent."""
    return {**schema, "default": default}


def members(required: Schema, optional: Schema | None = None) -> Schema:
    """An object with these members; more may come with later versions."""
    return {
        "type": "object",
        "required": sorted(required),
        "properties": {**required, **(optional or {})},
    }
