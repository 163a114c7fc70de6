"""Who may use a route from where: the internal routes' secret and addresses, pages of other sites, and CORS."""

import hmac
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias
from urllib.parse import urlsplit

from tidewire.core.errors import AccessDenied, CsrfFailed, MissingParameter
from tidewire.http.rate_limits import Address
from tidewire.http.request_info import Headers, RequestInfo
from tidewire.http.responses import Lines

Network: TypeAlias = IPv4Network | IPv6Network


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
        """The client's address for the log. It is nearly always the peer's, which need not be parsed."""
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


SAFE = frozenset({"GET", "OPTIONS"})


OWN = frozenset({"same-origin", "none"})
"""Values of `Sec-Fetch-Site` with which no other site has to do; `none` is an address that somebody typed."""


def check_origin(info: RequestInfo, allowed: Collection[str], *, changes: bool = False) -> None:
    """Refuses what may have been begun by another site.

    The browser says so in `Origin` or `Sec-Fetch-Site`, and no page can change that. A request that changes something must
    come with one of them, or with a `Referer` of the own site; an address that somebody was led to type or to follow is not
    enough for it.

    Args:
        info: the request.
        allowed: origins that count as the own one.
        changes: it changes something, whatever its method says.

    Raises:
        CsrfFailed: it is not known to come from the own site.
    """
    headers = info.headers
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if origin is not None:
        if not _is_own(origin, headers.get("host"), allowed):
            raise CsrfFailed("The request comes from a page of another origin")
        return
    if site is not None and site not in OWN:
        raise CsrfFailed("The request comes from a page of another site")
    if site == "same-origin" or (info.method in SAFE and not changes):
        return
    referer = headers.get("referer")
    if referer is None or not _is_own(referer, headers.get("host"), allowed):
        raise CsrfFailed("The request does not say which page it comes from")


def is_own_page(info: RequestInfo, allowed: Collection[str]) -> bool:
    """Whether `check_origin` lets the request pass."""
    try:
        check_origin(info, allowed)
    except CsrfFailed:
        return False
    return True


def _is_own(address: str, host: str | None, allowed: Collection[str]) -> bool:
    try:
        parts = urlsplit(address.lower())
    except ValueError:
        return False
    if not parts.netloc or parts.scheme not in ("http", "https"):
        return False
    return parts.netloc == (host or "").lower() or f"{parts.scheme}://{parts.netloc}" in allowed


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
