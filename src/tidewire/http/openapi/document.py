"""The OpenAPI document, put together from the tables."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from types import MappingProxyType
from typing import Any, Final

from tidewire import __version__
from tidewire.core.errors import WireError
from tidewire.http.openapi.operations import OPERATIONS
from tidewire.http.openapi.parameter_rows import SECRET
from tidewire.http.openapi.rows import Access, Operation, Parameter, Schema
from tidewire.http.openapi.schemas import BY_ACCESS, EVERYWHERE, HEADERS, MEMBERS, TEXT, members, schema_of
from tidewire.http.responses import IGNORED

Part = dict[str, Any]

JSON: Final = "application/json"
FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")

ABOUT: Final = """\
Parameters stand in the query string or in a form in the body, whose values win. A value is JSON text; those that are \
described as plain strings stand bare. Parameters that a route does not know are ignored and named in the answer. \
`x-required` marks what must be given, in either place. `OPTIONS` answers 204 with `Allow` on every path, and any \
other method than the described ones 405 `METHOD_NOT_ALLOWED`."""

SECURITY: Final[Mapping[Access, list[Part]]] = MappingProxyType(
    {
        Access.USER: [{"account": []}],
        Access.SESSION: [],
        Access.INTERNAL: [{"secret": []}],
        Access.OPEN: [],
    }
)


def document() -> Part:
    """The document as JSON values."""
    whole: Part = {
        "openapi": "3.1.0",
        "info": {
            "title": "Tidewire",
            "version": __version__,
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
        "tags": [{"name": access.value} for access in Access],
        "paths": _paths(),
        "components": {
            "schemas": {kind.__name__: schema_of(kind) for kind in MEMBERS},
            "securitySchemes": {
                "account": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The account's email, and its API key as the password.",
                },
                "secret": {"type": "http", "scheme": "bearer", "description": "The shared secret."},
            },
        },
    }
    plain: Part = _plain(whole)
    return plain


def _plain(value: Any) -> Any:
    """Copies mappings and tuples, which can't be changed, into dicts and lists."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _paths() -> Part:
    paths: Part = {}
    for name, operation in OPERATIONS.items():
        method, path = name.split(" ")
        paths.setdefault(path, {})[method.lower()] = _operation(name, operation)
    return paths


def _operation(name: str, operation: Operation) -> Part:
    part: Part = {
        "operationId": _identifier(name),
        "summary": operation.title,
        "description": operation.meaning,
        "tags": [operation.access.value],
        "security": _security(operation),
        "parameters": [_in_path(row) for row in operation.in_path]
        + [_in_query(row, operation) for row in operation.parameters if row is not SECRET],
        "responses": _responses(operation),
    }
    body = _body(operation)
    return part if body is None else {**part, "requestBody": body}


def _identifier(name: str) -> str:
    return (
        "".join(character if character.isalnum() else "_" for character in name.lower())
        .replace("__", "_")
        .strip("_")
    )


def _security(operation: Operation) -> list[Part]:
    wanted = SECURITY[operation.access]
    # The secret may stand in the form instead.
    return [*wanted, {}] if SECRET in operation.parameters else wanted


def _in_path(row: Parameter) -> Part:
    return {**_named(row, "path"), "required": True, "schema": row.schema}


def _in_query(row: Parameter, operation: Operation) -> Part:
    part = _named(row, "query")
    if row.is_required:
        # With a form, too, neither place can be said to need it.
        part |= {"x-required": True} if operation.has_form else {"required": True}
    if row.is_text:
        return {**part, "schema": row.schema}
    return {**part, "content": {JSON: {"schema": row.schema, **_example(row)}}}


def _named(row: Parameter, place: str) -> Part:
    named: Part = {"name": row.name, "in": place, "description": row.meaning}
    return {**named, **_example(row)} if row.is_text else named


def _example(row: Parameter) -> Part:
    return {} if row.example is None else {"example": row.example}


def _body(operation: Operation) -> Part | None:
    if operation.bodies is not None:
        content: Part = {media_type: {"schema": schema} for media_type, schema in operation.bodies.items()}
        content[next(iter(content))]["example"] = operation.body_example
        return {"required": True, "content": content}
    if not operation.has_form:
        return None
    form: Part = {
        "schema": {
            "type": "object",
            "properties": {row.name: _form_field(row) for row in operation.parameters},
        },
        "encoding": {row.name: {"contentType": JSON} for row in operation.parameters if not row.is_text},
        "example": {row.name: row.example for row in operation.parameters if row.example is not None},
    }
    return {"content": dict.fromkeys(FORMS, form)}


def _form_field(row: Parameter) -> Part:
    field = {**row.schema, "description": row.meaning}
    return {**field, "x-required": True} if row.is_required else field


def _responses(operation: Operation) -> Part:
    responses: Part = {}
    if operation.members is not None or operation.list_of is not None:
        schema = _success(operation)
        responses["200"] = {"description": "Done.", "content": {JSON: {"schema": schema}}}
    if operation.media is not None:
        content = {media_type: {"schema": schema} for media_type, schema in operation.media.items()}
        responses["200"] = {"description": "Done.", "content": content}
    kinds = sorted(failures_of(operation), key=lambda kind: kind.http_status)
    for status, group in groupby(kinds, key=lambda kind: kind.http_status):
        responses[str(status)] = _failure(status, group)
    return responses


def _success(operation: Operation) -> Schema:
    if operation.list_of is not None:
        return {"type": "array", "items": operation.list_of}
    given = operation.members or {}
    if operation.is_bare:
        return members(given)
    required = {name: schema for name, schema in given.items() if name not in operation.optional}
    optional = {name: schema for name, schema in given.items() if name in operation.optional}
    if operation.parameters:
        optional[IGNORED] = {
            "type": "array",
            "items": TEXT,
            "description": "Names of parameters that had no effect.",
        }
    return members({"result": {"const": "success"}, "msg": TEXT, **required}, optional)


def failures_of(operation: Operation) -> set[type[WireError]]:
    """Every error that it may answer with."""
    return {*operation.failures, *BY_ACCESS[operation.access], *EVERYWHERE}


def _failure(status: int, kinds: Iterable[type[WireError]]) -> Part:
    names = sorted(kind.__name__ for kind in kinds)
    references = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    part: Part = {
        "description": ", ".join(names) + ".",
        "content": {JSON: {"schema": references[0] if len(references) == 1 else {"anyOf": references}}},
    }
    if status in HEADERS:
        part["headers"] = {
            name: {"description": meaning, "schema": TEXT} for name, meaning in HEADERS[status].items()
        }
    return part
