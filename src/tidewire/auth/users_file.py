"""Reading `users.toml`: from its bytes to a checked snapshot, or every problem with the entry it is in."""

import re
import tomllib
from collections.abc import Iterable

from tidewire import TidewireError
from tidewire.auth.entries import Entry
from tidewire.auth.hosts import comparable
from tidewire.auth.keys import digest, is_well_formed
from tidewire.auth.snapshot import Account, UsersSnapshot
from tidewire.core.ids import RealmId, UserId
from tidewire.core.users import Realm, Role, User

REALM_KEYS = ("id", "host", "name", "active")
USER_KEYS = ("id", "realm_id", "email", "api_key", "full_name", "role", "active")


class UsersFileError(TidewireError):
    """The users file can't be used; users read before stay as they were.

    Its text has one line a problem, and never an API key.

    Attributes:
        source: the file.
        problems: everything that is wrong, each naming its entry.
    """

    code = "USERS_FILE_INVALID"

    def __init__(self, source: str, problems: Iterable[str]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{source}: {problem}" for problem in self.problems))


def read_users(content: bytes, *, source: str) -> UsersSnapshot:
    """Reads the bytes of a users file.

    A file without a realm or without a user is right: users may come to be known in other ways.

    Args:
        content: the file, TOML in UTF-8.
        source: what messages call it.

    Raises:
        UsersFileError: it is not TOML, or an entry is wrong; it holds every problem.
    """
    tables = _tables(content, source)
    problems = [
        f"unknown table {name!r}; a users file has [[realm]] and [[user]] only"
        for name in tables
        if name not in {"realm", "user"}
    ]
    realms = [_realm(entry) for entry in _entries("realm", tables.get("realm", []), problems)]
    entries = _entries("user", tables.get("user", []), problems)
    accounts = [_account(entry) for entry in entries]
    _check_realms(realms, problems)
    _check_users(accounts, {realm.id for realm in realms}, problems)
    if problems:
        raise UsersFileError(source, problems)
    return UsersSnapshot(realms, accounts)


def _tables(content: bytes, source: str) -> dict[str, object]:
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        problem = f"not UTF-8 at byte {error.start}"
    except RecursionError:
        problem = "not TOML: lists or tables nested too deep"
    except ValueError as error:  # also numbers too long to read
        problem = f"not TOML: {error}"
    # Raised out here, so that the error does not carry the content, with its keys, as its context.
    raise UsersFileError(source, [problem])


def _entries(kind: str, tables: object, problems: list[str]) -> list[Entry]:
    if not isinstance(tables, list):
        problems.append(f"{kind} is not a list of tables; write each entry under [[{kind}]]")
        return []
    return [
        Entry(kind=kind, number=number, table=table, problems=problems)
        for number, table in enumerate(tables, start=1)
    ]


def _realm(entry: Entry) -> Realm:
    entry.refuse_others(REALM_KEYS)
    host = entry.text("host")
    if host and not re.fullmatch(r"[^\s/@]+", comparable(host)):
        entry.wrong(f"host {host!r} must be a host name, without a scheme or a path")
    return Realm(
        id=RealmId(entry.identifier("id")), host=host, name=entry.text("name"), active=entry.flag("active")
    )


def _account(entry: Entry) -> Account:
    entry.refuse_others(USER_KEYS)
    user = User(
        id=UserId(entry.identifier("id")),
        realm_id=RealmId(entry.identifier("realm_id")),
        email=_email(entry),
        full_name=entry.text("full_name"),
        role=_role(entry),
        active=entry.flag("active"),
    )
    return Account(user, _key_digest(entry))


def _email(entry: Entry) -> str:
    email = entry.text("email")
    # HTTP Basic ends the user name at the first colon: such an account could never log in.
    if email and not re.fullmatch(r"[^\s:]+", email):
        entry.wrong(f"email {email!r} must have no spaces and no colon")
    return email


def _role(entry: Entry) -> Role:
    word = entry.text("role", default=Role.MEMBER)
    try:
        return Role(word)
    except ValueError:
        if word:
            entry.wrong(f"role {word!r} must be one of {', '.join(Role)}")
        return Role.MEMBER


def _key_digest(entry: Entry) -> bytes:
    """The digest of the entry's key; empty when the key is wrong."""
    api_key = entry.text("api_key")
    if not api_key:
        return b""
    if not is_well_formed(api_key):
        entry.wrong("api_key must be 32 characters of A-Z, a-z, 0-9")
        return b""
    return digest(api_key)


def _check_realms(realms: list[Realm], problems: list[str]) -> None:
    ids = _Firsts("realm", problems)
    hosts = _Firsts("realm", problems)
    for number, realm in enumerate(realms, start=1):
        ids.note(number, realm.id, f"id {realm.id}")
        hosts.note(number, comparable(realm.host), f"host {realm.host!r}")


def _check_users(accounts: list[Account], realm_ids: set[RealmId], problems: list[str]) -> None:
    ids = _Firsts("user", problems)
    emails = _Firsts("user", problems)
    keys = _Firsts("user", problems)
    for number, account in enumerate(accounts, start=1):
        user = account.user
        ids.note(number, user.id, f"id {user.id}")
        name = (user.realm_id, user.email.casefold()) if user.email else None
        emails.note(number, name, f"email {user.email!r} in realm {user.realm_id}")
        keys.note(number, account.key_digest, "api_key")
        if user.realm_id and user.realm_id not in realm_ids:
            problems.append(f"[[user]] number {number}: realm_id {user.realm_id} is the id of no [[realm]]")


class _Firsts:
    """What must be unique among the entries of one kind, with the entry each value was first seen in."""

    def __init__(self, kind: str, problems: list[str]) -> None:
        self._kind = kind
        self._problems = problems
        self._first: dict[object, int] = {}

    def note(self, number: int, value: object, what: str) -> None:
        """Notes an entry's value; an empty one stands in for a wrong one and is passed over."""
        first = self._first.setdefault(value, number) if value else number
        if first != number:
            self._problems.append(
                f"[[{self._kind}]] number {number}: {what} is already that of number {first}"
            )
