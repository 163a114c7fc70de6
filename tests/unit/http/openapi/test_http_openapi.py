"""The description of the routes says what the routes do, and nothing else."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from support.door import SessionDoor
from support.raw_http import Answer
from support.server_process import SECRET, USER_IDS
from support.site import LocalSite
from tidewire.core import errors
from tidewire.http.app import all_routes
from tidewire.http.openapi import Access, Parameter, document
from tidewire.http.openapi.document import failures_of
from tidewire.http.openapi.operations import OPERATIONS
from tidewire.http.openapi.parameter_rows import IDLE_TIMEOUTS
from tidewire.http.openapi.parameter_rows import SECRET as SECRET_FIELD
from tidewire.http.openapi.relocation_operations import SHARDS
from tidewire.http.openapi.schemas import MEMBERS
from tidewire.http.parameters import Parameters
from tidewire.http.rate_limits import RateLimits
from tidewire.http.responses import IGNORED

DOCUMENT = document()
# Those of shards need a map: `test_http_shards.py` asks them.
OPEN = {
    name: operation
    for name, operation in OPERATIONS.items()
    if operation.members is not None and name not in SHARDS
}


def described(name: str) -> dict[str, Any]:
    method, path = name.split(" ")
    part: dict[str, Any] = DOCUMENT["paths"][path][method.lower()]
    return part


def validator(schema: object) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        {"components": DOCUMENT["components"], "allOf": [schema]}, validate_formats=True
    )


def test_each_route_and_method_is_described_and_each_described_one_exists() -> None:
    served = {f"{method} {path}" for path, methods in all_routes().items() for method in methods}
    assert set(OPERATIONS) == served
    written = {
        f"{method.upper()} {path}" for path, methods in DOCUMENT["paths"].items() for method in methods
    }
    assert written == served


def test_each_error_of_the_wire_is_described() -> None:
    def descendants(kind: type[errors.WireError]) -> Iterator[type[errors.WireError]]:
        for child in kind.__subclasses__():
            yield child
            yield from descendants(child)

    everything = {kind for kind in descendants(errors.WireError) if kind.__module__.startswith("tidewire.")}
    assert set(MEMBERS) == everything
    given = {kind for operation in OPERATIONS.values() for kind in failures_of(operation)}
    # Of a path and not of a method of it.
    assert everything - given == {errors.MethodNotAllowed}


def schemas(part: Any) -> Iterator[Any]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "schema":
                yield value
            yield from schemas(value)
    elif isinstance(part, list):
        for value in part:
            yield from schemas(value)


def test_each_schema_is_one() -> None:
    found = [*schemas(DOCUMENT["paths"]), *DOCUMENT["components"]["schemas"].values()]
    assert len(found) > 100
    for schema in found:
        jsonschema_rs.meta.validate(schema)


def test_operations_have_names_of_their_own() -> None:
    names = [part["operationId"] for methods in DOCUMENT["paths"].values() for part in methods.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_example_and_default_is_valid(name: str) -> None:
    part = described(name)
    for row in part["parameters"]:
        holder = row if "schema" in row else row["content"]["application/json"]
        if "example" in holder:
            validator(holder["schema"]).validate(holder["example"])
        if "default" in holder["schema"]:
            validator(holder["schema"]).validate(holder["schema"]["default"])
    for body in part.get("requestBody", {"content": {}})["content"].values():
        if "example" in body:
            validator(body["schema"]).validate(body["example"])


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_parameter_without_an_example_is_an_alias_or_the_secret(name: str) -> None:
    bare = {row.name for row in OPERATIONS[name].parameters if row.example is None}
    assert bare <= {*(row.name for row in IDLE_TIMEOUTS[1:]), SECRET_FIELD.name}


def examples(rows: tuple[Parameter, ...], queue_id: str) -> dict[str, Any]:
    given = {row.name: row.example for row in rows if row.example is not None}
    if "user_profile_id" in given:
        given["user_profile_id"] = USER_IDS["ada"]
    if "queue_id" in given:
        given["queue_id"] = queue_id
    return given


async def ask_with_examples(local: LocalSite, name: str, place: str) -> Answer:
    """Sends every example of an operation at once."""
    operation, (method, path) = OPERATIONS[name], name.split(" ")
    queue_id = await local.register("ada")
    for row in operation.in_path:
        path = path.replace("{" + row.name + "}", examples((row,), queue_id)[row.name])
    request: dict[str, Any] = {place: examples(operation.parameters, queue_id)}
    if operation.bodies is not None:
        request["query"] = request.pop(place)
        request |= {"body": json.dumps(operation.body_example).encode()}
    if operation.access is Access.INTERNAL:
        return await local.ask(None, method, path, headers={"authorization": f"Bearer {SECRET}"}, **request)
    if operation.access is Access.SESSION:
        open_site = local.changed(door=SessionDoor(local.context.authenticator))
        own = {"cookie": "session=ada", "sec-fetch-site": "same-origin"}
        return await open_site.ask(None, method, path, headers=own, **request)
    user = "ada" if operation.access is Access.USER else None
    return await local.ask(user, method, path, **request)


@pytest.mark.parametrize("name", OPEN)
async def test_the_examples_are_taken_and_the_answer_is_as_described(local: LocalSite, name: str) -> None:
    answer = await ask_with_examples(local, name, "query")
    assert answer.status == 200, answer
    assert IGNORED not in answer.json
    schema = described(name)["responses"]["200"]["content"]["application/json"]["schema"]
    validator(schema).validate(answer.json)
    if not OPERATIONS[name].is_bare:
        # Every member is described, not only the required ones.
        assert answer.json.keys() - schema["properties"].keys() == set()


@pytest.mark.parametrize("name", OPEN)
async def test_every_parameter_that_the_view_asks_for_is_described_and_no_other(
    local: LocalSite, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Parameters] = []
    original = Parameters.__init__

    def recording(self: Parameters, values: Any) -> None:
        original(self, values)
        made.append(self)

    await local.register("ada")
    monkeypatch.setattr(Parameters, "__init__", recording)
    operation = OPERATIONS[name]
    answer = await ask_with_examples(local, name, "form" if operation.has_form else "query")
    assert answer.status == 200, answer
    asked = set() if not operation.parameters else set(made[-1]._known)
    if not operation.has_form:
        asked.discard("client")  # understood everywhere, and without any effect here
    assert asked == {row.name for row in operation.parameters if row is not SECRET_FIELD}


@pytest.mark.parametrize("name", [name for name in OPEN if OPERATIONS[name].has_form])
async def test_parameters_stand_in_the_query_string_and_in_both_kinds_of_form(
    local: LocalSite, name: str
) -> None:
    part, in_query = described(name), await ask_with_examples(local, name, "query")
    in_form = await ask_with_examples(local, name, "form")
    assert (in_query.status, in_form.status) == (200, 200)
    assert in_query.json.keys() == in_form.json.keys()
    fields = {row.name for row in OPERATIONS[name].parameters}
    assert set(part["requestBody"]["content"]) == {
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    }
    for form in part["requestBody"]["content"].values():
        assert set(form["schema"]["properties"]) == fields
    assert {row["name"] for row in part["parameters"]} == fields - {SECRET_FIELD.name}


@pytest.mark.parametrize("name", [name for name in OPERATIONS if OPERATIONS[name].access is Access.INTERNAL])
async def test_the_secret_is_asked_for_where_it_is_described(local: LocalSite, name: str) -> None:
    operation, (method, path) = OPERATIONS[name], name.split(" ")
    path = path.replace("{queue}", "missedmessage_emails")
    queue_id = await local.register("ada")
    given = {"secret": SECRET, **examples(operation.parameters, queue_id)}
    in_form = await local.ask(None, method, path, form=given)
    assert (in_form.status == 200) is (SECRET_FIELD in operation.parameters)
    in_query = await local.ask(None, method, path, query=given)
    assert (in_query.status, in_query.json["code"]) == (400, "REQUEST_VARIABLE_MISSING")


async def test_the_server_gives_its_description_to_anybody(local: LocalSite) -> None:
    answer = await local.ask(None, "GET", "/api/v1/openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json == DOCUMENT


async def test_asking_for_the_description_counts_for_the_address(local: LocalSite) -> None:
    limited = local.changed(limits=RateLimits(address_per_minute=1))
    assert (await limited.ask(None, "GET", "/api/v1/openapi.json")).status == 200
    assert (await limited.ask(None, "GET", "/api/v1/openapi.json")).status == 429


@pytest.mark.parametrize("name", [name for name in OPERATIONS if OPERATIONS[name].access is Access.SESSION])
async def test_browser_sessions_are_refused_as_described(local: LocalSite, name: str) -> None:
    method, path = name.split(" ")
    answer = await local.ask("ada", method, path)
    schema = described(name)["responses"][str(answer.status)]["content"]["application/json"]["schema"]
    validator(schema).validate(answer.json)
