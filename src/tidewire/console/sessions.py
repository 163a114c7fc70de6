"""Sessions of operators: a random id in a cookie stands for the secret that it was traded for.

They are in memory alone: a restart of the server ends them all.
"""

import hmac
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

MOST = 100
"""Sessions at a time; a further one takes the place of the oldest. Operators are few, and each may have some browsers."""

DIGEST_SIZE = 32


class Session(NamedTuple):
    """A session.

    Attributes:
        token: what requests that change something must show beside the cookie, against forgery (CSRF).
        ends_at: UNIX seconds.
    """

    token: str
    ends_at: float


class Sessions:
    """The sessions of one server.

    Args:
        new_secret: gives a text that nobody can guess, a new one at each call.
        lifetime: seconds from logging in.
        most: how many there are at a time.
    """

    def __init__(self, *, new_secret: Callable[[], str], lifetime: float, most: int = MOST) -> None:
        self._new_secret = new_secret
        self._lifetime = lifetime
        self._most = most
        # By the digest of the id: how long it takes to find one says nothing about the ids that there are.
        self._sessions: dict[bytes, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, now: float) -> tuple[str, Session]:
        """A new session, and the id that stands for it."""
        self._sweep(now)
        while len(self._sessions) >= self._most:
            del self._sessions[next(iter(self._sessions))]
        session_id, session = self._new_secret(), Session(self._new_secret(), now + self._lifetime)
        self._sessions[_digest(session_id)] = session
        return session_id, session

    def find(self, session_id: str | None, now: float) -> Session | None:
        """The session that the id stands for, unless it has ended."""
        session = None if session_id is None else self._sessions.get(_digest(session_id))
        return session if session is not None and now < session.ends_at else None

    def close(self, session_id: str | None) -> None:
        """Ends a session; there need be none."""
        if session_id is not None:
            self._sessions.pop(_digest(session_id), None)

    def _sweep(self, now: float) -> None:
        for key in [key for key, session in self._sessions.items() if now >= session.ends_at]:
            del self._sessions[key]


def has_token(session: Session, given: str | None) -> bool:
    """Whether a request shows the session's token, compared in constant time."""
    shown = (given or "").encode("utf-8", "surrogatepass")
    return hmac.compare_digest(shown, session.token.encode())


def _digest(session_id: str) -> bytes:
    return blake2b(session_id.encode("utf-8", "surrogatepass"), digest_size=DIGEST_SIZE).digest()
