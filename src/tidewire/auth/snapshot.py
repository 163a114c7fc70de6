"""The users of one reading of the file: immutable, and indexed for the questions that requests ask."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from tidewire.auth.hosts import comparable
from tidewire.core.ids import RealmId, UserId
from tidewire.core.users import Realm, User


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
