"""Letting requests in: who asks, whether it may, and whether it asks too often (R6.3, R6.13, R6.66).

Nothing here knows a framework. Internal requests that have shown the secret are never limited.
"""

from tidewire.core.errors import BadRequest, RateLimitHit, WireError
from tidewire.core.users import User
from tidewire.http.limits import Allowance
from tidewire.http.neighbours import Neighbours
from tidewire.http.note import Note
from tidewire.http.site import Site

HOSTLESS_VERSIONS = frozenset({"0.9", "1.0"})
"""Versions of HTTP in which a request need not name its host."""


def host_problem(hosts: int, http_version: str) -> BadRequest | None:
    """What is wrong with so many Host headers: of several, each on the way may believe another."""
    if hosts > 1 or (not hosts and http_version not in HOSTLESS_VERSIONS):
        return BadRequest("The request must have exactly one Host header")
    return None


def check_host(note: Note, http_version: str) -> None:
    """One host, as HTTP asks.

    Raises:
        BadRequest: there is none, or more than one.
    """
    problem = host_problem(len(note.headers.getlist("host")), http_version)
    if problem is not None:
        raise problem


def admit_user(note: Note, site: Site) -> User:
    """The user that the request's credentials name, counted for that user's limit; else for its address's.

    Raises:
        WireError: they name nobody who may ask (R6.3).
        RateLimitHit: asked too often.
    """
    try:
        user = site.authenticator.authenticate(note.headers.get("authorization"), note.headers.get("host"))
    except WireError:
        admit_anybody(note, site)
        raise
    note.user = user
    _count(note, site.limits.take_for_user(user.id, site.now()))
    return user


def is_served_here(note: Note, site: Site, neighbours: Neighbours) -> bool:
    """Whether the user whom the credentials name is this shard's; whoever they don't name is told so here.

    Nothing is counted, for whoever asks next will.
    """
    try:
        user = site.authenticator.authenticate(note.headers.get("authorization"), note.headers.get("host"))
    except WireError:
        return True
    return neighbours.serves(user)


def admit_anybody(note: Note, site: Site) -> None:
    """A request without a user, counted for its address.

    Raises:
        RateLimitHit: the address asked too often.
    """
    address = site.access.limited_address(note.peer, note.headers)
    _count(note, site.limits.take_for_address(address, site.now()))


def admit_internal(note: Note, site: Site, form_secret: str | None) -> None:
    """A request from inside; its address was checked before its body was read.

    Raises:
        MissingParameter, AccessDenied: it has not shown the secret (R6.66).
        RateLimitHit: and has done so too often.
    """
    try:
        site.access.check_secret(note.headers, form_secret)
    except WireError:
        admit_anybody(note, site)
        raise
    note.internal = True


def check_internal_address(note: Note, site: Site) -> None:
    """Refuses whoever is not inside, before anything of the body is read.

    Raises:
        AccessDenied: the request does not come from an internal address.
        RateLimitHit: and has come too often.
    """
    try:
        site.access.check_address(note.peer, note.headers)
    except WireError:
        admit_anybody(note, site)
        raise


def _count(note: Note, allowance: Allowance | None) -> None:
    note.allowance = allowance
    if allowance is not None and allowance.retry_after:
        raise RateLimitHit(allowance.retry_after)
