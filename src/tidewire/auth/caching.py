"""An authenticator that remembers whom it let in, until anything of what that rests on changes."""

from hashlib import blake2b

from tidewire.core.ids import RealmId, UserId
from tidewire.core.users import Realm, User
from tidewire.ports import Authenticator

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
        """See `tidewire.ports.Authenticator`."""
        return self._inner.generation

    def authenticate(self, authorization: str | None, host: str | None) -> User:
        """See `tidewire.ports.Authenticator`."""
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
        """See `tidewire.ports.Authenticator`."""
        return self._inner.user(user_id)

    def realm(self, realm_id: RealmId) -> Realm | None:
        """See `tidewire.ports.Authenticator`."""
        return self._inner.realm(realm_id)

    def rights(self, user_id: UserId) -> bytes:
        """See `tidewire.ports.Authenticator`."""
        return self._inner.rights(user_id)


def _digest(authorization: str, host: str | None) -> bytes:
    # No header holds a NUL, so the two can't be moved against each other.
    text = f"{authorization}\0{'' if host is None else host}\0{host is None}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_SIZE).digest()
