"""Things that tests need many of, with everything that a test does not care about filled in."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

REALM_HOST = "test.example"


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """A user of the server under test."""

    id: int
    name: str
    role: str = "member"
    realm_id: int = 1

    @property
    def email(self) -> str:
        """The address, which is the account's name for clients."""
        return f"{self.name}@realm-{self.realm_id}.{REALM_HOST}"

    @property
    def api_key(self) -> str:
        """The key; whoever knows the account can have it."""
        return f"{self.realm_id:016x}{self.id:016x}"


USUAL_ACCOUNTS = (
    Account(id=1, name="ada", role="owner"),
    Account(id=2, name="bob"),
    Account(id=3, name="gil", role="guest"),
    Account(id=4, name="botty", role="bot"),
)
"""An owner, a member, a guest and a bot of one realm."""


def users_file(accounts: Iterable[Account]) -> str:
    """The accounts as a users file."""
    accounts = list(accounts)
    realms = [
        _table(
            "realm", {"id": realm_id, "host": f"realm-{realm_id}.{REALM_HOST}", "name": f"Realm {realm_id}"}
        )
        for realm_id in sorted({account.realm_id for account in accounts})
    ]
    return "\n".join([*realms, *(_table("user", _entry(account)) for account in accounts)])


def a_notice(event_type: str, users: Iterable[int | Account], **members: Any) -> dict[str, Any]:
    """A notice of an event with those members; `id`, `realm_id` and `traceparent` are the notice's own."""
    own: dict[str, Any] = {
        name: members.pop(name) for name in ("id", "realm_id", "traceparent") if name in members
    }
    ids = [user.id if isinstance(user, Account) else user for user in users]
    return {"event": {"type": event_type, **members}, "users": ids, **own}


def _entry(account: Account) -> Mapping[str, Any]:
    return {
        "id": account.id,
        "realm_id": account.realm_id,
        "email": account.email,
        "api_key": account.api_key,
        "full_name": account.name.title(),
        "role": account.role,
    }


def _table(kind: str, entry: Mapping[str, Any]) -> str:
    return f"[[{kind}]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in entry.items())
