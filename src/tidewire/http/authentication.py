"""Authenticates and admits requests: who asks, whether it may, and whether it asks too often."""

from starlette.requests import Request

from tidewire.cluster.peers import Neighbours
from tidewire.core.errors import BadRequest, InternalError, InvalidToken, RateLimitHit, WireError
from tidewire.core.users import User
from tidewire.http.context import Site
from tidewire.http.rate_limits import Allowance
from tidewire.http.request_info import Note, note_of
from tidewire.http.security import check_origin, is_own_page
from tidewire.ports.auth import Admitted, Credentials, MustAsk, no_session

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
        MustAsk: somebody else has to be asked first, by `admit_user_asking`; nothing was counted.
    """
    try:
        user = _named(note, site)
    except WireError:
        admit_anybody(note, site)
        raise
    return _admitted(note, site, user)


def _named(note: Note, site: Site) -> User:
    """Who asks. Whoever judges may fail, and then it is nobody: counted like any other, and answered as a fault of ours.

    Raises:
        WireError, MustAsk: as `admit_user`; `InternalError` with its cause when judging failed.
    """
    try:
        if site.door is None:
            return site.authenticator.authenticate(
                note.headers.get("authorization"), note.headers.get("host")
            )
        note.admitted = site.door.known(credentials_of(note), site.now())
    except (WireError, MustAsk):
        raise
    except Exception as error:
        raise InternalError from error
    return note.admitted.user


async def admit_user_asking(note: Note, site: Site) -> User:
    """The same; whoever has to be asked for it is asked.

    Raises:
        WireError, RateLimitHit: as `admit_user`.
        AuthenticationUnavailable: nobody could be asked.
    """
    try:
        return admit_user(note, site)
    except MustAsk:
        pass
    address = site.access.limited_address(note.peer, note.headers)
    if wait := site.limits.wait_of_address(address, site.now()):
        raise RateLimitHit(wait)  # who has failed too often has nobody asked
    try:
        note.admitted = await _asked(note, site)
    except WireError:
        admit_anybody(note, site)
        raise
    return _admitted(note, site, note.admitted.user)


async def _asked(note: Note, site: Site) -> Admitted:
    if site.door is None:  # which has nobody ask
        raise MustAsk
    try:
        return await site.door.ask(credentials_of(note), site.now())
    except WireError:
        raise
    except Exception as error:
        raise InternalError from error


def credentials_of(note: Note) -> Credentials:
    """What the request shows of who asks; a cookie counts only on the routes for it."""
    headers = note.headers
    return Credentials(
        authorization=headers.get("authorization"),
        cookie=headers.get("cookie") if note.is_session else None,
        host=headers.get("host"),
        is_session=note.is_session,
    )


def expired(note: Note) -> WireError:
    """What a poll is told whose token or session has come to its end."""
    if note.is_session:
        return no_session(is_session=True)
    return InvalidToken("The token or session has expired")


def _admitted(note: Note, site: Site, user: User) -> User:
    note.user = user
    _count(note, site.limits.take_for_user(user.id, site.now()))
    return user


def is_for_sessions(note: Note, site: Site) -> bool:
    """Whether sessions are let in at all, and a request that shows one is known to come from the own site's page."""
    return site.door is not None and site.door.has_sessions and is_own_page(note, site.session_origins)


def is_served_here(note: Note, site: Site, neighbours: Neighbours) -> bool:
    """Whether the user whom the credentials name is this shard's; whoever they don't name is told so here.

    Nothing is counted, for whoever asks next will. False also when somebody else has to be asked who it is.
    """
    try:
        return neighbours.serves(_named(note, site))
    except WireError:
        return True
    except MustAsk:
        return False


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


async def authenticated(request: Request, site: Site) -> User:
    """The user that the request's credentials name (R6.2, R6.3), who does not ask too often (R6.13).

    Raises:
        WireError: they name nobody who may ask.
    """
    return await admit_user_asking(note_of(request), site)


def check_own_page(request: Request, site: Site) -> None:
    """Refuses a request by browser session that a page of another site may have begun.

    Raises:
        CsrfFailed: so it may be.
    """
    note = note_of(request)
    try:
        check_origin(note, site.session_origins)
    except WireError:
        admit_anybody(note, site)
        raise
