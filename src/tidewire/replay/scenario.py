"""Scenarios: the form of a recorded sequence, as it stands in its file.

{"name", "clients": [REG...], "steps": [{KIND: ARGS}...]}
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from tidewire import TidewireError
from tidewire.core.errors import BadEventQueueId, BadRequest, WireError
from tidewire.core.events.capabilities import CAPABILITY_NAMES, Capabilities
from tidewire.core.ids import RealmId, UserId
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.state.limits import IdleTimeouts
from tidewire.http.parameters import as_boolean, as_integer, as_narrow, as_string, as_strings

USUAL: Mapping[str, bool] = MappingProxyType({"apply_markdown": True, "client_gravatar": True})
"""Capabilities that a scenario's client has unless it says otherwise, beyond those that every client has."""

STRANGER = UserId(10)
"""Who asks for a queue that nobody owns."""


class ScenarioError(TidewireError):
    """A file is no scenario, or a step is not of the form that its kind has."""

    code = "BAD_SCENARIO"


class Step(NamedTuple):
    """One step of a scenario."""

    kind: str
    arguments: dict[str, Any]


class Scenario(NamedTuple):
    """Clients that register, then steps."""

    name: str
    clients: list[dict[str, Any]]
    steps: list[Step]


def parse_scenario(content: bytes, *, source: str) -> Scenario:
    """The scenario in a file.

    Raises:
        ScenarioError: it has not the form of one.
    """
    try:
        data = msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise ScenarioError(f"{source} is not JSON: {error}") from None
    if not isinstance(data, dict) or not isinstance(data.get("steps"), list):
        raise ScenarioError(f"{source} is no scenario: it must be an object with a list of `steps`")
    steps = [_step(step, f"{source}: steps[{number}]") for number, step in enumerate(data["steps"])]
    clients = data.get("clients", [])
    if not isinstance(clients, list) or not all(isinstance(client, dict) for client in clients):
        raise ScenarioError(f"{source}: `clients` must be a list of registrations")
    return Scenario(str(data.get("name", source)), clients, steps)


def asked(arguments: dict[str, Any], owners: Mapping[str, UserId]) -> tuple[str, UserId]:
    """The queue and the user that a step names (by default the queue's owner); `owners` are by queue."""
    queue_id = str(arguments["queue_id"] if "queue_id" in arguments else f"q{arguments['client']}")
    return queue_id, UserId(arguments.get("as_user", owners.get(queue_id, STRANGER)))


def refusal(error: WireError) -> dict[str, Any]:
    """What a refused step results in."""
    result: dict[str, Any] = {"code": error.code, "msg": error.message, "http_status": error.http_status}
    if isinstance(error, BadEventQueueId):
        result["queue_id"] = error.data["queue_id"]
    return {"error": result}


@contextmanager
def checked_arguments(number: int, kind: str) -> Iterator[None]:
    """Says of which step the arguments are wrong.

    Raises:
        ScenarioError: one is missing, or not of the form that it has.
    """
    try:
        yield
    except KeyError as error:
        raise ScenarioError(f"step {number}: `{kind}` needs {error}") from None
    except (AttributeError, TypeError, ValueError) as error:
        raise ScenarioError(f"step {number}: wrong arguments of `{kind}`: {error}") from error


def _step(step: object, where: str) -> Step:
    if not isinstance(step, dict) or len(step) != 1:
        raise ScenarioError(f"{where} must be an object with one member, its kind")
    ((kind, arguments),) = step.items()
    if not isinstance(arguments, dict):
        raise ScenarioError(f"{where}: the arguments of `{kind}` must be an object")
    return Step(kind, arguments)


def queue_spec(registration: dict[str, Any], timeouts: IdleTimeouts) -> QueueSpec:
    """What a recorded registration asks for; all users may see public channels.

    Raises:
        BadRequest: a member is wrong.
    """
    user_id, realm_id = user_and_realm(registration)
    flags = dict(USUAL) | {
        name: as_boolean(registration[name], name) for name in CAPABILITY_NAMES if name in registration
    }
    lifespan = as_integer(registration.get("lifespan_secs", 0), "lifespan_secs", 0)
    return QueueSpec(
        user_id=user_id,
        realm_id=realm_id,
        event_types=as_strings(registration.get("event_types"), "event_types"),
        narrow=as_narrow(registration.get("narrow"), "narrow"),
        all_public_streams=as_boolean(registration.get("all_public_streams", False), "all_public_streams"),
        may_access_public_channels=True,
        client_type_name=as_string(registration.get("client_type_name", "website"), "client_type_name"),
        capabilities=Capabilities(**flags),
        idle_timeout=timeouts.effective(lifespan),
    )


def user_and_realm(registration: dict[str, Any]) -> tuple[UserId, RealmId]:
    """Who registers, and where.

    Raises:
        BadRequest: it is not said.
    """
    return UserId(_id(registration, "user_profile_id")), RealmId(_id(registration, "realm_id"))


def _id(registration: dict[str, Any], name: str) -> int:
    if name not in registration:
        raise BadRequest(f"Missing '{name}' argument")
    return as_integer(registration[name], name, 0)
