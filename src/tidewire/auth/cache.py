"""Remembers who was authenticated, under a digest of the credentials, so that the next request costs a look-up.

Nothing is remembered of refusals, and everything ends when what it rests on changes.
"""

from collections import OrderedDict
from hashlib import blake2b

from tidewire.core.ids import RealmId, UserId
from tidewire.core.users import Realm, User
from tidewire.ports.auth import Authenticator, AuthResult

MAX_REMEMBERED = 100_000
"""Of which each takes some 200 bytes; the longest known makes room."""


DIGEST_SIZE = 16


class CachingAuthenticator:
    """Asks another authenticator once for each pair of credentials and host.

    Who was refused is asked about again, so that nobody can fill the memory with wrong keys. Of the header
    only a digest is kept.
    """

    def __init__(self, inner: Authenticator, *, max_remembered: int = MAX_REMEMBERED) -> None:
        self._inner = inner
        self._max = max_remembered
        self._generation = inner.generation
        self._admitted: dict[bytes, User] = {}

    @property
    def generation(self) -> int:
        """A number that rises whenever an earlier answer may no longer hold."""
        return self._inner.generation

    def authenticate(self, authorization: str | None, host: str | None) -> User:
        """Returns the user with these credentials, from the cache if possible; raises what the backend raises."""
        if authorization is None:
            return self._inner.authenticate(None, host)
        if self._generation != self._inner.generation:
            self._generation = self._inner.generation
            self._admitted.clear()
        key = _digest(authorization, host)
        user = self._admitted.get(key)
        if user is None:
            user = self._inner.authenticate(authorization, host)
            if len(self._admitted) >= self._max:
                del self._admitted[next(iter(self._admitted))]
            self._admitted[key] = user
        return user

    def user(self, user_id: UserId) -> User | None:
        """The user with this id, or None."""
        return self._inner.user(user_id)

    def realm(self, realm_id: RealmId) -> Realm | None:
        """The realm with this id, or None."""
        return self._inner.realm(realm_id)

    def rights(self, user_id: UserId) -> bytes:
        """A digest of the user's rights; empty for an unknown user. A queue ends when its owner's digest changes."""
        return self._inner.rights(user_id)


def _digest(authorization: str, host: str | None) -> bytes:
    # No header holds a NUL, so the two can't be moved against each other.
    text = f"{authorization}\0{'' if host is None else host}\0{host is None}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_SIZE).digest()


class Remembered:
    """The memory of one kind of credentials."""

    def __init__(self, *, most: int = MAX_REMEMBERED) -> None:
        self._most = most
        self._admitted: OrderedDict[bytes, AuthResult] = OrderedDict()

    def get(self, key: bytes, now: float) -> AuthResult | None:
        """Who it was, if that still holds."""
        found = self._admitted.get(key)
        if found is None:
            return None
        if now >= found.known_until:
            del self._admitted[key]
            return None
        self._admitted.move_to_end(key)
        return found

    def put(self, key: bytes, admitted: AuthResult) -> None:
        """Caches a result under its credentials."""
        self._admitted[key] = admitted
        self._admitted.move_to_end(key)
        if len(self._admitted) > self._most:
            self._admitted.popitem(last=False)

    def drop(self, session: str) -> None:
        """Drops the entries of one session name. It looks through all of them, since it is rarely called."""
        for key in [key for key, admitted in self._admitted.items() if admitted.session == session]:
            del self._admitted[key]

    def __len__(self) -> int:
        return len(self._admitted)


def digest_of(*parts: str | None) -> bytes:
    """A digest of texts, none of which can be moved into another; the texts themselves are kept nowhere."""
    whole = "\0".join("-" if part is None else f"+{part}" for part in parts)
    return blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=DIGEST_SIZE).digest()
