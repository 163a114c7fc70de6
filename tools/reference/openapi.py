"""The page of all routes in detail, made from their description: `make reference` writes it."""

from collections.abc import Iterator, Mapping

from reference.schemas import in_words, show
from tidewire.http.openapi import Access, Operation, Parameter, Schema
from tidewire.http.openapi.document import failures_of
from tidewire.http.openapi.operations import OPERATIONS
from tidewire.http.openapi.parameter_rows import SECRET

INTRODUCTION = """\
# Routes in detail

<!-- Made by `make reference`; change the tables in `src/tidewire/http/openapi/` instead. -->

Every parameter, answer and error of every route. [HTTP API](http-api.md) says how they work together, and
[Errors](errors.md) what each code means.

A server describes itself in the same words for machines, as OpenAPI 3.1:

```sh
curl http://127.0.0.1:9800/api/v1/openapi.json
```

*Stands in* says where a parameter may be: in the *query* string, in a *form* (urlencoded or multipart), or in the *path*.
A form's value wins. Values are JSON text unless they are *text*, which stands bare. A member or parameter in **bold** is
always there, or must be given.
"""

SESSIONS = """\
Each stands for a public route, and takes and gives what that does. All of them answer 401 until
[a kind of session](../howto/choose-how-clients-log-in.md) is configured.

| Route | Errors |
| --- | --- |
"""


def render() -> str:
    """The page: a chapter for each kind of access, a section for each operation."""
    return "\n".join([INTRODUCTION, *map(_chapter, Access)]).rstrip("\n") + "\n"


def _chapter(access: Access) -> str:
    found = {name: operation for name, operation in OPERATIONS.items() if operation.access is access}
    if access is Access.SESSION:
        rows = "".join(f"| `{name}` | {_errors(operation)} |\n" for name, operation in found.items())
        return f"## {access.value}\n\n{SESSIONS}{rows}"
    return "\n".join([f"## {access.value}\n", *(_section(*item) for item in found.items())])


def _section(name: str, operation: Operation) -> str:
    parts = [f"### {name}\n", f"{operation.meaning}\n"]
    rows = [*_parameters(operation)]
    if rows:
        parts += [
            "| Parameter | Stands in | Form | Default | Meaning |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
        ]
    if operation.bodies is not None:
        parts += ["| Body | Form |", "| --- | --- |"]
        parts += [f"| `{media}` | {in_words(schema)} |" for media, schema in operation.bodies.items()]
        parts.append("")
    if operation.members:
        parts += ["| Answer | Form | Meaning |", "| --- | --- | --- |", *_members(operation), ""]
    parts.append(f"Errors: {_errors(operation)}.\n")
    return "\n".join(parts)


def _parameters(operation: Operation) -> Iterator[str]:
    for row in operation.in_path:
        yield _parameter(row, "path")
    for row in operation.parameters:
        yield _parameter(row, _places(row, operation))


def _places(row: Parameter, operation: Operation) -> str:
    if row is SECRET:
        return "form"
    return "query, form" if operation.has_form else "query"


def _parameter(row: Parameter, place: str) -> str:
    name = f"**`{row.name}`**" if row.is_required else f"`{row.name}`"
    default = f"`{show(row.schema['default'])}`" if "default" in row.schema else ""
    form = in_words(row.schema)
    if row.is_text:
        form = form.replace("string", "text", 1)
    return f"| {name} | {place} | {form} | {default} | {row.meaning} |"


def _members(operation: Operation) -> Iterator[str]:
    members: Mapping[str, Schema] = operation.members or {}
    for name, schema in members.items():
        shown = f"`{name}`" if name in operation.optional else f"**`{name}`**"
        yield f"| {shown} | {in_words(schema)} | {schema.get('description', '')} |"


def _errors(operation: Operation) -> str:
    """By status, then code."""
    found = sorted({(kind.http_status, kind.code) for kind in failures_of(operation)})
    return ", ".join(f"{status} `{code}`" for status, code in found)
