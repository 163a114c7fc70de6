"""Whether the broker is there, as the log says it: one line when it goes, one a minute while it is away, one when it is back."""

from collections.abc import Callable, Iterable

from structlog.typing import FilteringBoundLogger

EVERY = 60.0
"""Seconds between two lines of a broker that stays away, or that comes and goes."""

PATIENCE = 5.0
"""Seconds for which a broker may be away without a line, if one was written less than a minute ago."""


class Presence:
    """What is known of one broker, over all connections to it."""

    def __init__(
        self,
        connections: Iterable[str],
        *,
        address: str,
        timer: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        """Takes what is needed.

        Args:
            connections: the names of those that must all stand.
            address: of the broker, without a password.
            timer: seconds of any clock that does not go back.
            log: where to write.
        """
        self._up = dict.fromkeys(connections, False)
        self._address = address
        self._timer = timer
        self._log = log
        self._since: float | None = None
        """Since when it is away; None while it is there, and until anything is known."""
        self._written = float("-inf")
        """When the last line was written that said that it is away."""
        self._told: bool | None = None
        """What the newest line says: that it is there, or not; None when there is none yet."""
        self._attempts = 0

    @property
    def is_there(self) -> bool:
        """Whether all connections to the broker are open."""
        return all(self._up.values())

    def up(self, connection: str) -> None:
        """Notes that a connection has been opened."""
        was_there, self._up[connection] = self.is_there, True
        if was_there or not self.is_there:
            return
        now = self._timer()
        away_for = 0.0 if self._since is None else now - self._since
        self._since = None
        if not self._told:
            self._told = True
            self._log.info(
                "bus is there", broker=self._address, away_s=round(away_for, 1), attempts=self._attempts
            )
        self._attempts = 0

    def down(self, connection: str) -> None:
        """A connection does not stand any more, or is being closed."""
        self._up[connection] = False

    def failed(self, connection: str, reason: str) -> None:
        """A connection was lost, or could not be made."""
        self.down(connection)
        now = self._timer()
        self._attempts += 1
        if self._since is None:
            self._since = now
        away_for = now - self._since
        if self._told is not False:
            if now - self._written >= EVERY or away_for >= PATIENCE:
                self._write("bus is away", now, reason, away_for)
        elif now - self._written >= EVERY:
            self._write("bus is still away", now, reason, away_for)

    def _write(self, event: str, now: float, reason: str, away_for: float) -> None:
        self._told, self._written = False, now
        self._log.warning(
            event, broker=self._address, reason=reason, away_s=round(away_for, 1), attempts=self._attempts
        )
