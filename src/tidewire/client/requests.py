"""Requests of a client, and what their answers say; sending them is for others."""

import base64
import json
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tidewire._http import Answer
from tidewire.client.errors import BadAnswer, refused
from tidewire.client.live_state import LiveState
from tidewire.client.registration import Registration

#: Seconds for each of the short requests: register may have to build a large initial state.
REQUEST_TIMEOUT = 30.0

#: Seconds for the farewell. The queue of a client that can't say goodbye expires by itself (R6.90).
FAREWELL_TIMEOUT = 1.0

#: Seconds for a poll. The server ends each within 90 with a heartbeat at the latest (R6.46): this is the watchdog.
POLL_TIMEOUT = 90.0

FORM = "application/x-www-form-urlencoded"
OK = 200


class Request(NamedTuple):
    """One request.

    Attributes:
        timeout: seconds until the whole answer must be there.
        body: a form, or None.
    """

    method: str
    path: str
    timeout: float
    body: bytes | None = None

    @property
    def content_type(self) -> str:
        """Of the body."""
        return "" if self.body is None else FORM


def basic(email: str, api_key: str) -> dict[str, str]:
    """The header that says who asks."""
    credentials = base64.b64encode(f"{email}:{api_key}".encode()).decode("ascii")
    return {"Authorization": f"Basic {credentials}"}


def register(
    event_types: Sequence[str] | None, narrow: Sequence[Sequence[str]] | None, parameters: Mapping[str, Any]
) -> Request:
    """The request that registers a queue."""
    form = {**parameters, "event_types": event_types, "narrow": narrow or []}
    return Request("POST", "/api/v1/register", REQUEST_TIMEOUT, _encode(form).encode("ascii"))


def poll(queue_id: str, last_event_id: int, *, dont_block: bool, timeout: float) -> Request:
    """Asks for the events of a queue."""
    query = _encode({"queue_id": queue_id, "last_event_id": last_event_id, "dont_block": dont_block})
    return Request("GET", f"/api/v1/events?{query}", timeout)


def deregister(queue_id: str, timeout: float = REQUEST_TIMEOUT) -> Request:
    """Asks to delete a queue."""
    return Request("DELETE", "/api/v1/events", timeout, _encode({"queue_id": queue_id}).encode("ascii"))


def with_fetch_types(parameters: Mapping[str, Any], state: LiveState | None) -> dict[str, Any]:
    """The parameters, with what the state needs unless the application says otherwise."""
    if state is None or "fetch_event_types" in parameters:
        return dict(parameters)
    return {**parameters, "fetch_event_types": state.fetch_types}


def success(answer: Answer) -> dict[str, Any]:
    """The members of a success; raises what anything else stands for."""
    if answer.status != OK:
        raise refused(answer)
    if answer.json is None:
        raise BadAnswer("The server's answer is not a JSON object; is this the URL of a Tidewire server?")
    if answer.json.get("result") != "success":
        raise refused(answer)
    return answer.json


def registration(answer: Mapping[str, Any]) -> Registration:
    """What the answer to `register` says."""
    queue_id, last_event_id = answer.get("queue_id"), answer.get("last_event_id")
    if not isinstance(queue_id, str) or not isinstance(last_event_id, int):
        raise BadAnswer("The answer to register names no queue")
    idle_timeout = answer.get("idle_queue_timeout_secs")
    if not isinstance(idle_timeout, int | float):
        idle_timeout = None
    return Registration(queue_id, last_event_id, idle_timeout, answer)


def events(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the answer to a poll holds."""
    found = answer.get("events")
    if not isinstance(found, list) or not all(_is_event(event) for event in found):
        raise BadAnswer("The answer to a poll holds no list of events")
    return found


def _encode(parameters: Mapping[str, Any]) -> str:
    """Encodes parameters as the published client does: strings bare, the rest JSON, None left out (R6.81)."""
    return urllib.parse.urlencode(
        {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in parameters.items()
            if value is not None
        }
    )


def _is_event(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("id"), int)
