"""CORS: which pages of other origins may read answers of the public routes (R6.12).

Never of internal routes, and never with credentials: a page has to know an API key itself.
"""

from collections.abc import Iterable

from tidewire.http.head import Lines

EXPOSED = b"Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"
"""Headers that a page may read beyond those that any may."""

PREFLIGHT_KEPT = b"7200"
"""Seconds that browsers remember a preflight: no browser takes more than two hours."""


class Cors:
    """The rule of one server."""

    def __init__(self, origins: Iterable[str] = ()) -> None:
        """Takes the origins, or `*` for all; none turns it off."""
        self._origins = frozenset(origin.lower() for origin in origins)

    def lines(self, origin: str | None) -> Lines:
        """What the answer to a request with this `Origin` has."""
        allowed = self._allowed(origin)
        return (*allowed, (b"access-control-expose-headers", EXPOSED)) if allowed else self._varying()

    def preflight_lines(self, origin: str | None, methods: bytes) -> Lines:
        """What the answer to `OPTIONS` has; `methods` as in `Allow`."""
        allowed = self._allowed(origin)
        if not allowed:
            return self._varying()
        return (
            *allowed,
            (b"access-control-allow-methods", methods),
            (b"access-control-allow-headers", b"Authorization"),
            (b"access-control-max-age", PREFLIGHT_KEPT),
        )

    def _allowed(self, origin: str | None) -> Lines:
        if "*" in self._origins:
            return ((b"access-control-allow-origin", b"*"),)
        if origin is None or origin.lower() not in self._origins:
            return ()
        # It equals a setting, so it has nothing in it that could end a line.
        return ((b"access-control-allow-origin", origin.encode()), *self._varying())

    def _varying(self) -> Lines:
        """That the answer depends on the origin, when it does."""
        return ((b"vary", b"Origin"),) if self._origins else ()
