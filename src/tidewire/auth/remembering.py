"""Whom was let in, by a digest of what was shown: bounded, for a time, and never who was refused."""

from collections import OrderedDict
from hashlib import blake2b

from tidewire.admitting import Admitted

MAX_REMEMBERED = 100_000
"""Each takes some 500 bytes; the one that was used longest ago makes room."""

DIGEST_SIZE = 16


class Remembered:
    """The memory of one kind of credentials."""

    def __init__(self, *, most: int = MAX_REMEMBERED) -> None:
        self._most = most
        self._admitted: OrderedDict[bytes, Admitted] = OrderedDict()

    def get(self, key: bytes, now: float) -> Admitted | None:
        """Who it was, if that still holds."""
        found = self._admitted.get(key)
        if found is None:
            return None
        if now >= found.known_until:
            del self._admitted[key]
            return None
        self._admitted.move_to_end(key)
        return found

    def put(self, key: bytes, admitted: Admitted) -> None:
        """Remembers somebody."""
        self._admitted[key] = admitted
        self._admitted.move_to_end(key)
        if len(self._admitted) > self._most:
            self._admitted.popitem(last=False)

    def drop(self, session: str) -> None:
        """Forgets who was let in under a name; rare, so that all are looked through."""
        for key in [key for key, admitted in self._admitted.items() if admitted.session == session]:
            del self._admitted[key]

    def __len__(self) -> int:
        return len(self._admitted)


def digest_of(*parts: str | None) -> bytes:
    """A digest of texts, none of which can be moved into another; the texts themselves are kept nowhere."""
    whole = "\0".join("-" if part is None else f"+{part}" for part in parts)
    return blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=DIGEST_SIZE).digest()
