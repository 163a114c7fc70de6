"""The sessions and tokens that were revoked, as long as one of them may still turn up."""

from collections import OrderedDict

MAX_REMEMBERED = 100_000
"""Names kept, some 20 MB; beyond, the oldest is forgotten."""

REMEMBERED_FOR = 86_400.0
"""Seconds. A token should not live longer, and an application that is asked knows of its sessions itself."""


class Revoked:
    """Names, with the moment at which each was revoked."""

    def __init__(self) -> None:
        self._at: OrderedDict[str, float] = OrderedDict()
        self.generation = 0
        """Rises with every name."""

    def add(self, session: str, now: float) -> None:
        """Revokes a name."""
        self.generation += 1
        self._at[session] = now
        self._at.move_to_end(session)
        while self._at and (len(self._at) > MAX_REMEMBERED or now - self._oldest() > REMEMBERED_FOR):
            self._at.popitem(last=False)

    def has(self, session: str) -> bool:
        """Whether the name was revoked; names are not given twice."""
        return session in self._at

    def _oldest(self) -> float:
        return next(iter(self._at.values()))
