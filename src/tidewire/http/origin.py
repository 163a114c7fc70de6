"""Requests that a page of another site had the browser send: refused on the routes that take cookies (R6.2)."""

from collections.abc import Collection
from urllib.parse import urlsplit

from tidewire.core.errors import CsrfFailed
from tidewire.http.note import Note

SAFE = frozenset({"GET", "OPTIONS"})
OWN = frozenset({"same-origin", "none"})
"""Values of `Sec-Fetch-Site` with which no other site has to do; `none` is an address that somebody typed."""


def check_origin(note: Note, allowed: Collection[str], *, changes: bool = False) -> None:
    """Refuses what may have been begun by another site.

    The browser says so in `Origin` or `Sec-Fetch-Site`, and no page can change that. A request that changes something must
    come with one of them, or with a `Referer` of the own site; an address that somebody was led to type or to follow is not
    enough for it.

    Args:
        note: the request.
        allowed: origins that count as the own one.
        changes: it changes something, whatever its method says.

    Raises:
        CsrfFailed: it is not known to come from the own site.
    """
    headers = note.headers
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if origin is not None:
        if not _is_own(origin, headers.get("host"), allowed):
            raise CsrfFailed("The request comes from a page of another origin")
        return
    if site is not None and site not in OWN:
        raise CsrfFailed("The request comes from a page of another site")
    if site == "same-origin" or (note.method in SAFE and not changes):
        return
    referer = headers.get("referer")
    if referer is None or not _is_own(referer, headers.get("host"), allowed):
        raise CsrfFailed("The request does not say which page it comes from")


def is_own_page(note: Note, allowed: Collection[str]) -> bool:
    """Whether `check_origin` lets the request pass."""
    try:
        check_origin(note, allowed)
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
