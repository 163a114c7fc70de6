"""The accounts of a scenario's users, for a server that has to know who asks."""

import base64
import json
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from tidewire.core.errors import BadRequest
from tidewire.replay.scenario import STRANGER, Scenario, ScenarioError, user_and_realm


class Accounts:
    """One account for each user that registers or asks; all may see public channels."""

    def __init__(self, scenario: Scenario) -> None:
        """Finds the users.

        Raises:
            ScenarioError: a user is in two realms.
        """
        self._realms = _realms(scenario)
        self._keys = {user_id: secrets.token_hex(16) for user_id in self._realms}

    def users_file(self) -> str:
        """Its users and realms in the form of the users file."""
        realms = (
            {"id": realm_id, "host": f"realm-{realm_id}.example", "name": f"Realm {realm_id}"}
            for realm_id in sorted(set(self._realms.values()))
        )
        users = (
            {
                "id": user_id,
                "realm_id": realm_id,
                "email": _email(user_id),
                "api_key": self._keys[user_id],
                "full_name": f"User {user_id}",
                "role": "member",
            }
            for user_id, realm_id in self._realms.items()
        )
        tables = [*(_table("realm", realm) for realm in realms), *(_table("user", user) for user in users)]
        return "\n".join(tables)

    def headers(self, user_id: int) -> dict[str, str]:
        """What a user's requests are sent with.

        Raises:
            ValueError: there is no such user.
        """
        if user_id not in self._keys:
            raise ValueError(f"{user_id!r} is no user")
        credentials = f"{_email(user_id)}:{self._keys[user_id]}".encode()
        return {"Authorization": f"Basic {base64.b64encode(credentials).decode()}"}


def _email(user_id: int) -> str:
    return f"user{user_id}@replay.example"


def _table(kind: str, entry: Mapping[str, object]) -> str:
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in entry.items())
    return f"[[{kind}]]\n{lines}"


def _realms(scenario: Scenario) -> dict[int, int]:
    """Each user's realm; that of those who only ask is any."""
    realms: dict[int, int] = {}
    for registration in _registrations(scenario):
        try:
            user_id, realm_id = user_and_realm(registration)
        except BadRequest:
            continue  # it is refused when its turn comes
        if realms.setdefault(user_id, realm_id) != realm_id:
            raise ScenarioError(
                f"user {user_id} is in two realms, which a server can't have: play it with --over engine"
            )
    some_realm = next(iter(realms.values()), 1)
    for asking in (STRANGER, *(step.arguments.get("as_user") for step in scenario.steps)):
        if type(asking) is int and asking >= 0:
            realms.setdefault(asking, some_realm)
    return realms


def _registrations(scenario: Scenario) -> Iterator[dict[str, Any]]:
    yield from scenario.clients
    for step in scenario.steps:
        if step.kind == "register":
            yield step.arguments
