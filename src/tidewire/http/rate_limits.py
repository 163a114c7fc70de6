"""Rate limits: how many requests a user, or an address without a user, may make in a minute."""

import math
from collections import OrderedDict
from collections.abc import Hashable
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple, TypeAlias

from tidewire.core.ids import UserId

Address: TypeAlias = IPv4Address | IPv6Address


WINDOW = 60.0
"""Seconds that a limit is given for."""


MAX_KEYS = 100_000
"""Keys remembered of one limit, some 20 MB. Beyond, the one that was quiet longest is forgotten: whoever wants to
be forgotten must ask from that many addresses, and had that many allowances anyway."""


HOST_BITS = 64
"""Of an IPv6 address: a customer is given at least this many, so they say nothing about who asks."""


ROUNDING = 1e-6
"""Seconds that adding fractions up may be off by."""


class Allowance(NamedTuple):
    """What is left of a limit.

    Attributes:
        limit: requests a minute.
        remaining: requests that would be let through now.
        reset: the UNIX second from which on the whole limit is there again.
        retry_after: seconds until the request that asked is let through; 0 when it is.
    """

    limit: int
    remaining: int
    reset: int
    retry_after: float


class RateLimit:
    """One limit, counted for each key apart."""

    def __init__(self, per_minute: int, *, max_keys: int = MAX_KEYS) -> None:
        self._limit = per_minute
        self._interval = WINDOW / per_minute
        self._max_keys = max_keys
        self._whole_at: OrderedDict[Hashable, float] = OrderedDict()

    def take(self, key: Hashable, now: float) -> Allowance:
        """Counts one request; one that is refused does not count.

        Args:
            key: who asks.
            now: UNIX seconds.
        """
        before = max(self._whole_at.get(key, now), now)
        whole_at = before + self._interval
        retry_after = whole_at - now - WINDOW
        if retry_after > ROUNDING:
            return Allowance(self._limit, 0, math.ceil(before), round(retry_after, 3))
        self._whole_at[key] = whole_at
        self._whole_at.move_to_end(key)
        if len(self._whole_at) > self._max_keys:
            self._whole_at.popitem(last=False)
        return Allowance(
            self._limit, int((ROUNDING - retry_after) / self._interval), math.ceil(whole_at), 0.0
        )

    def peek(self, key: Hashable, now: float) -> float:
        """Seconds until one more request of the key would be let through; 0 when it would be."""
        wait = self._whole_at.get(key, now) + self._interval - now - WINDOW
        return round(wait, 3) if wait > ROUNDING else 0.0

    def __len__(self) -> int:
        return len(self._whole_at)


class RateLimits:
    """The limits of one server; 0 turns one off."""

    def __init__(self, *, user_per_minute: int = 0, address_per_minute: int = 0) -> None:
        self._users = RateLimit(user_per_minute) if user_per_minute else None
        self._addresses = RateLimit(address_per_minute) if address_per_minute else None

    def take_for_user(self, user_id: UserId, now: float) -> Allowance | None:
        """Counts one request of a user; None when users have no limit."""
        return None if self._users is None else self._users.take(user_id, now)

    def take_for_address(self, address: Address | None, now: float) -> Allowance | None:
        """Counts one request without a user; None when addresses have no limit.

        Requests whose address nobody knows, as over a UNIX socket, are counted together.
        """
        return None if self._addresses is None else self._addresses.take(_key(address), now)

    def wait_of_address(self, address: Address | None, now: float) -> float:
        """Seconds until one more request without a user would be let through; counts nothing."""
        return 0.0 if self._addresses is None else self._addresses.peek(_key(address), now)


def _key(address: Address | None) -> Hashable:
    return int(address) >> HOST_BITS if isinstance(address, IPv6Address) else address
