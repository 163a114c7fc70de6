"""JSON schemas in words, as far as the description of the routes uses them."""

import json
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from tidewire.http.openapi import Schema
from tidewire.http.parameters import MAX_INTEGER


def show(value: Any) -> str:
    """A value as JSON."""
    return json.dumps(value, ensure_ascii=False)


def in_words(schema: Schema) -> str:
    """What a value must be."""
    return " or ".join(_ways(schema))


def _ways(schema: Schema) -> Iterator[str]:
    if "anyOf" in schema:
        for way in schema["anyOf"]:
            yield from _ways(way)
    elif "enum" in schema or "const" in schema:
        for value in schema.get("enum", [schema.get("const")]):
            yield f"`{show(value)}`"
    else:
        kinds = schema["type"]
        for kind in [kinds] if isinstance(kinds, str) else kinds:
            yield WORDS[kind](schema)


def _integer(schema: Schema) -> str:
    least, most = schema.get("minimum", -MAX_INTEGER), schema.get("maximum", MAX_INTEGER)
    bounds = [f"from {least}"] if least > -MAX_INTEGER else []
    if most < MAX_INTEGER:
        bounds.append(f"to {most}")
    return " ".join(["integer", *bounds])


def _string(schema: Schema) -> str:
    most = schema.get("maxLength")
    return "string" if most is None else f"string of at most {most} characters"


def _array(schema: Schema) -> str:
    if "prefixItems" in schema:
        inner = ", ".join(in_words(item) for item in schema["prefixItems"])
        return f"pair ({inner})"
    most = schema.get("maxItems")
    count = "" if most is None else f"at most {most} "
    return f"list of {count}({in_words(schema['items'])})"


def _object(schema: Schema) -> str:
    required = ", ".join(f"`{name}`" for name in schema.get("required", ()))
    known = ", ".join(
        f"`{name}`" for name in schema.get("properties", {}) if name not in schema.get("required", ())
    )
    parts = [f"with {required}"] if required else []
    if known:
        parts.append(f"and perhaps {known}" if parts else f"with perhaps {known}")
    return " ".join(["object", *parts])


WORDS: Mapping[str, Callable[[Schema], str]] = MappingProxyType(
    {
        "array": _array,
        "boolean": lambda _schema: "boolean",
        "integer": _integer,
        "null": lambda _schema: "null",
        "number": lambda _schema: "number",
        "object": _object,
        "string": _string,
    }
)
