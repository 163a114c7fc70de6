"""How long a queue lives unpolled: what a client may ask for, and what it gets (R2.5-R2.7)."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Requested: TypeAlias = int | Literal["mobile"] | None
"""Seconds, the word for mobile apps, or nothing."""

MOBILE = 43_200
"""Seconds that `"mobile"` stands for: twelve hours (R2.5)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IdleTimeouts:
    """The default and the bounds, in seconds; a bound of 0 is none."""

    default: int = 600
    maximum: int = 604_800
    minimum: int = 60

    def effective(self, requested: Requested) -> int:
        """What the queue gets; 0 asks for the default, as clients of before V12 did (R2.6)."""
        seconds = MOBILE if requested == "mobile" else requested or self.default
        if self.maximum:
            seconds = min(seconds, self.maximum)
        return max(seconds, self.minimum)
