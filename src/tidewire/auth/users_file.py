"""Reads `users.toml`: from its bytes to a checked, indexed snapshot of users, or every problem with the entry it is in."""

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from tidewire import TidewireError
from tidewire.auth.credentials import comparable, digest, is_well_formed
from tidewire.core.ids import RealmId, UserId
from tidewire.core.users import Realm, Role, User

# Ids travel as JSON numbers, which JavaScript clients hold exactly only up to here.
LARGEST_ID = 2**53 - 1


class Entry:
    """A table of the file while it is read.

    A value that is missing or wrong is noted as a problem, and something harmless of its type stands in
    for it, so that the rest can be checked too; nothing with a problem is ever used.
    """

    def __init__(self, *, kind: str, number: int, table: object, problems: list[str]) -> None:
        self.label = f"[[{kind}]] number {number}"
        self._problems = problems
        self._table: dict[str, object] = {}
        if isinstance(table, dict):
            self._table = table
        else:
            self.wrong(f"is not a table; write it as [[{kind}]]")

    def wrong(self, what: str) -> None:
        """Notes a problem of this entry."""
        self._problems.append(f"{self.label}: {what}")

    def refuse_others(self, known: Iterable[str]) -> None:
        """Notes each key that is not known."""
        names = tuple(known)
        for key in self._table:
            if key not in names:
                self.wrong(f"unknown key {key!r}; the keys are {', '.join(names)}")

    def identifier(self, key: str) -> int:
        """Reads a required id; raises if it is missing or no integer."""
        value = self._table.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= LARGEST_ID:
            self.wrong(f"{key} {self._state(key)} a whole number from 1 to {LARGEST_ID}")
            return 0
        return value

    def text(self, key: str, *, default: str | None = None) -> str:
        """A string that is not empty, without spaces around; required when there is no default."""
        value = self._table.get(key, default)
        if not isinstance(value, str) or not value.strip():
            self.wrong(f"{key} {self._state(key)} a string that is not empty")
            return ""
        return value.strip()

    def flag(self, key: str) -> bool:
        """True or false; true when left out."""
        value = self._table.get(key, True)
        if not isinstance(value, bool):
            self.wrong(f"{key} must be true or false")
            return True
        return value

    def _state(self, key: str) -> str:
        return "must be" if key in self._table else "is missing: it must be"


@dataclass(frozen=True, slots=True)
class Account:
    """A user and the digest of their API key; the key itself is nowhere."""

    user: User
    key_digest: bytes = field(repr=False)


RIGHTS_SIZE = 8
"""Bytes of the digest of a user's rights: two that differ look alike once in 10^19 times."""


PERSON = b"tidewire rights"
"""Makes these digests unlike any others of the same bytes."""


class UsersSnapshot:
    """All realms and users at one moment.

    It takes for granted what the reader has checked: ids, emails of a realm, hosts and keys are unique, and
    every user's realm exists.
    """

    __slots__ = ("_accounts", "_by_email", "_by_host", "_realms", "_rights")

    def __init__(self, realms: Iterable[Realm] = (), accounts: Iterable[Account] = ()) -> None:
        self._realms: Mapping[RealmId, Realm] = MappingProxyType({realm.id: realm for realm in realms})
        self._by_host: Mapping[str, Realm] = MappingProxyType(
            {comparable(realm.host): realm for realm in self._realms.values()}
        )
        self._accounts: Mapping[UserId, Account] = MappingProxyType({a.user.id: a for a in accounts})
        by_email: dict[str, tuple[Account, ...]] = {}
        for account in self._accounts.values():
            email = account.user.email.casefold()
            by_email[email] = (*by_email.get(email, ()), account)
        self._by_email: Mapping[str, tuple[Account, ...]] = MappingProxyType(by_email)
        # Worked out when first asked for.
        self._rights: dict[UserId, bytes] = {}

    def __repr__(self) -> str:
        return f"<UsersSnapshot: {len(self._realms)} realms, {len(self._accounts)} users>"

    def realm(self, realm_id: RealmId) -> Realm | None:
        """The realm of the id, active or not."""
        return self._realms.get(realm_id)

    def realms(self) -> tuple[Realm, ...]:
        """All realms, in the order of the file."""
        return tuple(self._realms.values())

    def realm_of_host(self, host: str | None) -> Realm | None:
        """The realm that a request's host belongs to; None when it is no realm's."""
        return None if host is None else self._by_host.get(comparable(host))

    def user(self, user_id: UserId) -> User | None:
        """The user of the id, active or not."""
        account = self._accounts.get(user_id)
        return None if account is None else account.user

    def users(self) -> tuple[User, ...]:
        """All users, in the order of the file."""
        return tuple(account.user for account in self._accounts.values())

    def accounts_of(self, email: str) -> tuple[Account, ...]:
        """The accounts with this email, ignoring case: at most one a realm (R6.3)."""
        return self._by_email.get(email.casefold(), ())

    def revoked_by(self, newer: "UsersSnapshot") -> frozenset[UserId]:
        """Users whose queues must end when `newer` takes this one's place (D11).

        Those are the ones that are gone, or whose role, realm, key or `active` differs, or whose realm was
        switched on or off. Another name or email changes nothing about what a queue may hold.
        """
        return frozenset(
            user_id for user_id in self._accounts if self.rights(user_id) != newer.rights(user_id)
        )

    def rights(self, user_id: UserId) -> bytes:
        """A digest of what a queue's right to exist rests on, to be kept with the queue and compared later.

        Empty when there is no such user. Of a key, which is 32 random characters, no more gets to the disk.
        """
        known = self._rights.get(user_id)
        if known is None:
            known = self._rights[user_id] = self._digest_of_rights(user_id)
        return known

    def _digest_of_rights(self, user_id: UserId) -> bytes:
        account = self._accounts.get(user_id)
        if account is None:
            return b""
        user = account.user
        facts = f"{user.role} {user.realm_id} {user.active} {self._realms[user.realm_id].active}"
        return hashlib.blake2b(
            facts.encode(), key=account.key_digest, digest_size=RIGHTS_SIZE, person=PERSON
        ).digest()


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
