"""The authenticator over the users file: who asks, and reading the file again when it changes."""

import os
from dataclasses import dataclass
from pathlib import Path

from tidewire.auth.credentials import NOBODY, Credentials, digest, parse_authorization, same
from tidewire.auth.users_file import Account, UsersFileError, UsersSnapshot, read_users
from tidewire.core.errors import BadRequest, InvalidApiKey, RealmDeactivated, UserDeactivated
from tidewire.core.ids import RealmId, UserId
from tidewire.core.users import Realm, Role, User

Signature = tuple[int, int, int]
"""Modification time, size and inode: differs when a file was written again or replaced."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a successful reload did.

    Attributes:
        revoked: users whose queues must end (D11).
    """

    revoked: frozenset[UserId]


class UsersFileAuthenticator:
    """Authenticates against a users file that may change while the server runs.

    Not for several threads at once. Each method is a plain function, so nothing else runs within it.
    """

    def __init__(self, *, path: Path, required: bool = True) -> None:
        """Reads the file; one that is not required may be missing, and then nobody is known.

        Raises:
            UsersFileError: the file can't be read or is wrong; see `reload`.
        """
        self._path = path
        self._required = required
        self._seen: Signature | None = None
        self._generation = 0
        self._snapshot = UsersSnapshot()
        self.reload()

    def is_of(self, path: Path, *, required: bool) -> bool:
        """Whether these are the users of that file."""
        return (self._path, self._required) == (path, required)

    @property
    def generation(self) -> int:
        """1 after the first reading, and one more at each successful reload: what was cached by it is stale."""
        return self._generation

    def authenticate(self, authorization: str | None, host: str | None) -> User:
        """Gives the user that a request comes from, as `tidewire.ports.auth.Authenticator` has it (R6.3).

        A host that is no realm's host says nothing. When an email has accounts in several realms, the one of
        the host's realm is meant, else the one whose key it is. Of several faults the first of this order is
        told: header, key, realm switched off, account switched off, host, kind of bot. Whoever has not the
        key learns nothing of the account.

        Raises:
            Unauthorized, BadRequest, InvalidApiKey, UserDeactivated, RealmDeactivated: as the port says.
        """
        credentials = parse_authorization(authorization)
        host_realm = self._snapshot.realm_of_host(host)
        account = self._account(credentials, host_realm)
        if account is None:
            raise InvalidApiKey("Invalid API key")
        return self._admitted(account.user, host_realm)

    def user(self, user_id: UserId) -> User | None:
        """Gives a user by id, active or not."""
        return self._snapshot.user(user_id)

    def rights(self, user_id: UserId) -> bytes:
        """Gives a digest of what the user's queues rest on; empty for nobody known."""
        return self._snapshot.rights(user_id)

    def users(self) -> tuple[User, ...]:
        """Gives all users, in the order of the file."""
        return self._snapshot.users()

    def realm(self, realm_id: RealmId) -> Realm | None:
        """Gives a realm by id, active or not."""
        return self._snapshot.realm(realm_id)

    def is_realm_host(self, host: str) -> bool:
        """Whether it is the host of a realm, with or without a port."""
        return self._snapshot.realm_of_host(host) is not None

    def changed_on_disk(self) -> bool:
        """Whether the file differs from what `reload` last tried; cheap, meant for about once a second.

        A change is thereby noticed once, and a broken file is not tried again until it changes again.
        """
        return self._signature_now() != self._seen

    def reload(self) -> Reloaded:
        """Reads the file again and puts its users in force.

        Raises:
            UsersFileError: the file is missing, wrong, or was written to meanwhile. The users stay as they
                were, and so does `generation`.
        """
        content = self._content()
        if self._generation and not content.strip():
            # Writing in place begins with an empty file: it must not end everybody's queues.
            problem = (
                "the file is empty; write at least a comment into it when nobody is to be known any more"
            )
            raise UsersFileError(str(self._path), [problem])
        newer = read_users(content, source=str(self._path))
        revoked = self._snapshot.revoked_by(newer)
        self._snapshot = newer
        self._generation += 1
        return Reloaded(revoked)

    def _account(self, credentials: Credentials, host_realm: Realm | None) -> Account | None:
        candidates = self._snapshot.accounts_of(credentials.email)
        if host_realm is not None:
            of_host = tuple(a for a in candidates if a.user.realm_id == host_realm.id)
            candidates = of_host or candidates
        claimed = digest(credentials.api_key)
        if not candidates:
            same(claimed, NOBODY)
            return None
        # A list, not a search: all are compared, so that the time does not tell which one it was.
        matching = [account for account in candidates if same(claimed, account.key_digest)]
        return matching[0] if matching else None

    def _admitted(self, user: User, host_realm: Realm | None) -> User:
        realm = self._snapshot.realm(user.realm_id)
        if realm is None or not realm.active:
            raise RealmDeactivated("This organization has been deactivated")
        if not user.active:
            raise UserDeactivated("Account is deactivated")
        if host_realm is not None and host_realm.id != realm.id:
            raise BadRequest("Account is not associated with this subdomain")
        if user.role is Role.WEBHOOK_BOT:
            raise BadRequest("This API is not available to incoming webhook bots.")
        return user

    def _content(self) -> bytes:
        """The file's bytes; notes what was read, so that only a later change is a change.

        The signature is taken of the open file before it is read: what is written after that is noticed.
        """
        self._seen = None
        try:
            with self._path.open("rb") as stream:
                self._seen = _signature(os.fstat(stream.fileno()))
                content = stream.read()
                after = _signature(os.fstat(stream.fileno()))
        except FileNotFoundError:
            if not self._required and not self._generation:
                return b""
            problem = "no such file; make it with [[realm]] and [[user]] entries, or set auth.users_file to where it is"
        except OSError as error:
            self._seen = self._signature_now()
            problem = f"can't be read: {error.strerror or error}"
        else:
            if after == self._seen:
                return content
            problem = "was written to while it was read; it is tried again"
        raise UsersFileError(str(self._path), [problem])

    def _signature_now(self) -> Signature | None:
        try:
            return _signature(self._path.stat())
        except OSError:
            return None


def _signature(status: os.stat_result) -> Signature:
    return (status.st_mtime_ns, status.st_size, status.st_ino)
