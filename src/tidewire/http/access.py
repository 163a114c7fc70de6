"""Who asks: the one rule for the peer's address and for what is internal (D5, R6.66, R6.67)."""

import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Protocol, TypeAlias

from tidewire.core.errors import AccessDenied, MissingParameter

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network


class Headers(Protocol):
    """The headers of a request; names in lower case."""

    def __contains__(self, name: object, /) -> bool:
        """Whether there is such a line."""
        ...

    def __iter__(self) -> Iterator[str]:
        """The names, in order."""
        ...

    def get(self, name: str, /) -> str | None:
        """The value of the first such line."""
        ...

    def getlist(self, key: str) -> list[str]:
        """The values of all such lines, in order."""
        ...


FORWARDING_HEADERS = frozenset(
    {
        "x-forwarded-for",
        "forwarded",
        "x-real-ip",
        "x-forwarded-host",
        "x-forwarded-proto",
        "via",
    }
)
"""Any of these says that the request came through something."""

ADDRESSES = 4096
"""Addresses that are kept parsed: publishers ask again and again from the same ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """What decides who is internal.

    Attributes:
        secret: the shared secret.
        internal_from: addresses that internal requests may come from.
        trusted_proxies: peers whose `X-Forwarded-For` is believed.
    """

    secret: str = field(repr=False)
    internal_from: Sequence[Network]
    trusted_proxies: Sequence[Network]

    def check_address(self, peer: str | None, headers: Headers) -> None:
        """Refuses requests from elsewhere, before anything of their body is read.

        Args:
            peer: address of the other end of the connection.
            headers: the request's headers.

        Raises:
            AccessDenied: the request does not come from an internal address.
        """
        if "origin" in headers or not self.is_inside(peer, headers):
            raise AccessDenied

    def is_inside(self, peer: str | None, headers: Headers) -> bool:
        """Whether the request comes from an internal address."""
        address = self.client_address(peer, headers)
        return address is not None and _within(address, self.internal_from)

    def check_secret(self, headers: Headers, form_secret: str | None) -> None:
        """Compares the secret, in constant time.

        Args:
            headers: the request's headers; the secret may be in `Authorization: Bearer`.
            form_secret: the secret from the form; one in a query string never counts.

        Raises:
            MissingParameter: no secret was given (R6.66).
            AccessDenied: it is wrong.
        """
        given = _bearer(headers) or form_secret
        if given is None:
            raise MissingParameter("secret")
        if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), self.secret.encode()):
            raise AccessDenied

    @staticmethod
    def shows_secret(headers: Headers) -> bool:
        """Whether a secret stands in the headers, right or wrong; then none in a form counts."""
        return _bearer(headers) is not None

    def limited_address(self, peer: str | None, headers: Headers) -> Address | None:
        """What requests are counted by: where they began, else who passed them on."""
        return self.client_address(peer, headers) or _address(peer)

    def shown_address(self, peer: str | None, headers: Headers) -> str:
        """The same for the log; for nearly every request it is the peer's, which then need not be parsed."""
        if not FORWARDING_HEADERS.isdisjoint(headers):
            return str(self.client_address(peer, headers) or peer)
        return peer or "-"

    def client_address(self, peer: str | None, headers: Headers) -> Address | None:
        """Where the request began: the peer, or behind trusted proxies the last address they didn't add.

        None when that can't be said, as for a forwarding header from a peer that is not trusted.
        """
        address = _address(peer)
        if address is None or FORWARDING_HEADERS.isdisjoint(headers):
            return address
        hops = [part.strip() for value in headers.getlist("x-forwarded-for") for part in value.split(",")]
        while address is not None and _within(address, self.trusted_proxies):
            if not hops:
                return None
            address = _address(hops.pop())
            if address is not None and not _within(address, self.trusted_proxies):
                return address
        return None


def _bearer(headers: Headers) -> str | None:
    scheme, _, value = (headers.get("authorization") or "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else None


@lru_cache(maxsize=ADDRESSES)
def _address(text: str | None) -> Address | None:
    try:
        address = ip_address(text or "")
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
