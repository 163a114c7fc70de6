"""Authenticates and admits requests: who asks, whether it may, and whether it asks too often."""

from starlette.requests import Request

from tidewire.cluster.peers import Peers
from tidewire.core.errors import BadRequest, InternalError, InvalidToken, RateLimitHit, WireError
from tidewire.core.users import User
from tidewire.http.context import ServerContext
from tidewire.http.rate_limits import Allowance
from tidewire.http.request_info import RequestInfo, note_of
from tidewire.http.security import check_origin, is_own_page
from tidewire.ports.auth import AuthResult, Credentials, NeedsBackend, no_session

HOSTLESS_VERSIONS = frozenset({"0.9", "1.0"})
"""Versions of HTTP in which a request need not name its host."""


def host_problem(hosts: int, http_version: str) -> BadRequest | None:
    """What is wrong with so many Host headers: of several, each on the way may believe another."""
    if hosts > 1 or (not hosts and http_version not in HOSTLESS_VERSIONS):
        return BadRequest("The request must have exactly one Host header")
    return None


def check_host(info: RequestInfo, http_version: str) -> None:
    """One host, as HTTP asks.

    Raises:
        BadRequest: there is none, or more than one.
    """
    problem = host_problem(len(info.headers.getlist("host")), http_version)
    if problem is not None:
        raise problem


def admit_user(info: RequestInfo, context: ServerContext) -> User:
    """The user that the request's credentials name, counted for that user's limit; else for its address's.

    Raises:
        WireError: they name nobody who may ask (R6.3).
        RateLimitHit: asked too often.
        MustAsk: somebody else has to be asked first, by `admit_user_asking`; nothing was counted.
    """
    try:
        user = _named(info, context)
    except WireError:
        admit_anybody(info, context)
        raise
    return _admitted(info, context, user)


def _named(info: RequestInfo, context: ServerContext) -> User:
    """Who asks. Whoever judges may fail, and then it is nobody: counted like any other, and answered as a fault of ours.

    Raises:
        WireError, MustAsk: as `admit_user`; `InternalError` with its cause when judging failed.
    """
    try:
        if context.door is None:
            return context.authenticator.authenticate(
                info.headers.get("authorization"), info.headers.get("host")
            )
        info.admitted = context.door.known(credentials_of(info), context.now())
    except (WireError, NeedsBackend):
        raise
    except Exception as error:
        raise InternalError from error
    return info.admitted.user


async def admit_user_asking(info: RequestInfo, context: ServerContext) -> User:
    """Returns the user of a request, calling the application if needed; counts it for the rate limits.

    Raises:
        WireError, RateLimitHit: as `admit_user`.
        AuthenticationUnavailable: nobody could be asked.
    """
    try:
        return admit_user(info, context)
    except NeedsBackend:
        pass
    address = context.access.limited_address(info.peer, info.headers)
    if wait := context.limits.wait_of_address(address, context.now()):
        raise RateLimitHit(wait)  # who has failed too often has nobody asked
    try:
        info.admitted = await _asked(info, context)
    except WireError:
        admit_anybody(info, context)
        raise
    return _admitted(info, context, info.admitted.user)


async def _asked(info: RequestInfo, context: ServerContext) -> AuthResult:
    if context.door is None:  # which has nobody ask
        raise NeedsBackend
    try:
        return await context.door.ask(credentials_of(info), context.now())
    except WireError:
        raise
    except Exception as error:
        raise InternalError from error


def credentials_of(info: RequestInfo) -> Credentials:
    """What the request shows of who asks; a cookie counts only on the routes for it."""
    headers = info.headers
    return Credentials(
        authorization=headers.get("authorization"),
        cookie=headers.get("cookie") if info.is_session else None,
        host=headers.get("host"),
        is_session=info.is_session,
    )


def expired(info: RequestInfo) -> WireError:
    """What a poll is told whose token or session has come to its end."""
    if info.is_session:
        return no_session(is_session=True)
    return InvalidToken("The token or session has expired")


def _admitted(info: RequestInfo, context: ServerContext, user: User) -> User:
    info.user = user
    _count(info, context.limits.take_for_user(user.id, context.now()))
    return user


def is_for_sessions(info: RequestInfo, context: ServerContext) -> bool:
    """Whether sessions are let in at all, and a request that shows one is known to come from the own site's page."""
    return (
        context.door is not None and context.door.has_sessions and is_own_page(info, context.session_origins)
    )


def is_served_here(info: RequestInfo, context: ServerContext, peers: Peers) -> bool:
    """Whether the user whom the credentials name is this shard's; whoever they don't name is told so here.

    Nothing is counted, for whoever asks next will. False also when somebody else has to be asked who it is.
    """
    try:
        return peers.serves(_named(info, context))
    except WireError:
        return True
    except NeedsBackend:
        return False


def admit_anybody(info: RequestInfo, context: ServerContext) -> None:
    """A request without a user, counted for its address.

    Raises:
        RateLimitHit: the address asked too often.
    """
    address = context.access.limited_address(info.peer, info.headers)
    _count(info, context.limits.take_for_address(address, context.now()))


def admit_internal(info: RequestInfo, context: ServerContext, form_secret: str | None) -> None:
    """A request from inside; its address was checked before its body was read.

    Raises:
        MissingParameter, AccessDenied: it has not shown the secret (R6.66).
        RateLimitHit: and has done so too often.
    """
    try:
        context.access.check_secret(info.headers, form_secret)
    except WireError:
        admit_anybody(info, context)
        raise
    info.internal = True


def check_internal_address(info: RequestInfo, context: ServerContext) -> None:
    """Refuses whoever is not inside, before anything of the body is read.

    Raises:
        AccessDenied: the request does not come from an internal address.
        RateLimitHit: and has come too often.
    """
    try:
        context.access.check_address(info.peer, info.headers)
    except WireError:
        admit_anybody(info, context)
        raise


def _count(info: RequestInfo, allowance: Allowance | None) -> None:
    info.allowance = allowance
    if allowance is not None and allowance.retry_after:
        raise RateLimitHit(allowance.retry_after)


async def authenticated(request: Request, context: ServerContext) -> User:
    """The user that the request's credentials name (R6.2, R6.3), who does not ask too often (R6.13).

    Raises:
        WireError: they name nobody who may ask.
    """
    return await admit_user_asking(note_of(request), context)


def check_own_page(request: Request, context: ServerContext) -> None:
    """Refuses a request by browser session that a page of another site may have begun.

    Raises:
        CsrfFailed: so it may be.
    """
    info = note_of(request)
    try:
        check_origin(info, context.session_origins)
    except WireError:
        admit_anybody(info, context)
        raise
