"""The routes of the operators' console: the page and its files, logging in and out, and the views for who has logged in."""

from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import NamedTuple

from starlette.requests import Request

from tidewire import __version__
from tidewire.config import Settings
from tidewire.console import labels
from tidewire.console.live import NO_TIMES, LiveStats, Times, all_shards
from tidewire.console.security import Guard, Session, Sessions, logged_out
from tidewire.core.errors import AccessDenied, NotFound, RateLimitHit
from tidewire.http import responses
from tidewire.http.app import NO_MORE, Methods, View
from tidewire.http.context import ServerContext
from tidewire.http.parameters import form_parameters
from tidewire.http.rate_limits import RateLimits
from tidewire.http.request_info import note_of
from tidewire.http.responses import Response
from tidewire.http.views import operators, publish

FOLDERS = ("page", "vendor")


INDEX = "page/index.html"


MEDIA_TYPES: Mapping[str, bytes] = MappingProxyType(
    {
        "css": b"text/css; charset=utf-8",
        "html": b"text/html; charset=utf-8",
        "js": b"text/javascript; charset=utf-8",
        "svg": b"image/svg+xml",
    }
)
"""By the end of the name; files of other kinds are not served."""


class File(NamedTuple):
    """A file as it is sent."""

    content: bytes
    media_type: bytes


def read_files() -> Mapping[str, File]:
    """Every file that may be served, by its path; nothing else can be asked for."""
    return MappingProxyType(dict(_files()))


def _files() -> Iterator[tuple[str, File]]:
    root: Traversable = resources.files("tidewire.console")
    for folder in FOLDERS:
        for file in (root / folder).iterdir():
            media_type = MEDIA_TYPES.get(file.name.rpartition(".")[2])
            if media_type is not None:
                yield f"{folder}/{file.name}", File(file.read_bytes(), media_type)


LOGINS_PER_MINUTE = 10
"""Attempts from one address, right ones too."""


MAX_LOGIN_BYTES = 4096
"""Of the form that logs in: it has one secret."""


class Console:
    """The console of one server.

    Args:
        new_secret: gives a text that nobody can guess, a new one at each call.
        is_realm_host: whether a `Host` is that of a realm.
        host: what the server was told to listen on.
        port: the same.
        session_lifetime: seconds.
        times: gives what is measured of how long things take.
    """

    def __init__(
        self,
        *,
        new_secret: Callable[[], str],
        is_realm_host: Callable[[str], bool],
        host: str,
        port: int,
        session_lifetime: float,
        times: Times = lambda: NO_TIMES,
    ) -> None:
        self._sessions = Sessions(new_secret=new_secret, lifetime=session_lifetime)
        self._guard = Guard(
            self._sessions,
            cookie=f"tidewire_console_{port}",
            own_host=host,
            is_realm_host=is_realm_host,
        )
        self._lifetime = session_lifetime
        self._logins = RateLimits(address_per_minute=LOGINS_PER_MINUTE)
        self._files: Mapping[str, File] = read_files()
        self._stats = LiveStats(times)

    def table(self) -> Mapping[str, Methods]:
        """Path and method to view."""
        opened, closed = self._guard.opened, self._guard.closed
        return MappingProxyType(
            {
                "/console": {"GET": opened(self._page)},
                "/console/": {"GET": opened(self._page)},
                "/console/static/{name:path}": {"GET": opened(self._file)},
                "/console/login": {"POST": opened(self._log_in)},
                "/console/logout": {"POST": closed(self._log_out)},
                "/console/api/session": {"GET": opened(self._session)},
                "/console/api/pulse": {"GET": closed(self._stats.view)},
                "/console/api/queues": {"GET": closed(_quietly(operators.queues))},
                "/console/api/queues/{queue_id}": {"GET": closed(_quietly(operators.queue))},
                "/console/api/explain": {"GET": closed(_quietly(operators.explain))},
                "/console/api/explain/dry-run": {"POST": closed(operators.dry_run)},
                "/console/api/notices": {"POST": closed(publish.notices)},
                "/console/api/shards": {"GET": closed(_quietly(_all_shards))},
                "/console/api/words": {"GET": closed(_all_words)},
            }
        )

    async def _page(self, _request: Request, _context: ServerContext) -> Response:
        """`GET /console`: the page, which has nothing of the server's state in it."""
        return self._sent(INDEX)

    async def _file(self, request: Request, _context: ServerContext) -> Response:
        """`GET /console/static/{name}`: a file of the page."""
        return self._sent(request.path_params["name"])

    def _sent(self, name: str) -> Response:
        file = self._files.get(name)
        if file is None:
            raise NotFound("The console has no such file")
        return Response(200, file.content, media_type=file.media_type)

    async def _log_in(self, request: Request, context: ServerContext) -> Response:
        """`POST /console/login`: trades the secret for a cookie, and answers with the token for what changes something."""
        info = note_of(request)
        address = context.access.limited_address(info.peer, info.headers)
        allowance = self._logins.take_for_address(address, context.now())
        if allowance is not None and allowance.retry_after:
            context.log.warning("console login refused", address=str(address), reason="too many attempts")
            raise RateLimitHit(allowance.retry_after)
        form = await form_parameters(request, context.turns, MAX_LOGIN_BYTES)
        try:
            context.access.check_secret(request.headers, form.get("secret"))
        except AccessDenied:
            context.log.warning("console login refused", address=str(address), reason="wrong secret")
            return logged_out("That is not the secret of this server")
        context.log.info("console login", address=str(address))
        self._sessions.close(request.cookies.get(self._guard.cookie))
        session_id, session = self._sessions.open(context.now())
        response = responses.success(_shown(session))
        return _with_cookie(response, self._cookie(request, session_id, int(self._lifetime)))

    async def _log_out(self, request: Request, _context: ServerContext) -> Response:
        """`POST /console/logout`: ends the session."""
        self._sessions.close(request.cookies.get(self._guard.cookie))
        return _with_cookie(responses.success({}), self._cookie(request, "", 0))

    def _cookie(self, request: Request, value: str, lifetime: int) -> str:
        # A proxy with TLS says so. Whoever says so without one only loses a cookie of his own.
        secure = "; Secure" if request.headers.get("x-forwarded-proto") == "https" else ""
        name = self._guard.cookie
        return f"{name}={value}; Path=/console; HttpOnly; SameSite=Strict; Max-Age={lifetime}{secure}"

    async def _session(self, request: Request, context: ServerContext) -> Response:
        """`GET /console/api/session`: whether somebody has logged in, and the token if so."""
        session = self._guard.session_of(request, context)
        logged_in = {"logged_in": session is not None, "version": __version__, "now": context.now()}
        return responses.success(logged_in if session is None else {**logged_in, **_shown(session)})


async def _all_shards(request: Request, context: ServerContext) -> Response:
    """`GET /console/api/shards`: the shards and how each is."""
    return responses.success(await all_shards(request, context))


async def _all_words(_request: Request, _context: ServerContext) -> Response:
    """`GET /console/api/words`: what rules and outcomes mean."""
    return responses.success(
        {
            kind: {name: {"sentence": meant.sentence, "rule": meant.rule} for name, meant in table.items()}
            for kind, table in labels.ALL.items()
        }
    )


def _quietly(view: View) -> View:
    """The view without a line in the log for each answer: the page asks every second."""

    async def answer(request: Request, context: ServerContext) -> Response:
        note_of(request).quiet = True
        return await view(request, context)

    return answer


def _shown(session: Session) -> dict[str, str | float]:
    return {"token": session.token, "ends_at": session.ends_at}


def _with_cookie(response: Response, cookie: str) -> Response:
    return Response(
        response.status,
        response.body,
        (*response.headers, (b"set-cookie", cookie.encode())),
        response.media_type,
    )


def console_routes(
    settings: Settings,
    *,
    new_secret: Callable[[], str],
    is_realm_host: Callable[[str], bool],
    times: Times,
) -> Mapping[str, Methods]:
    """The routes of the operators' page, if there is to be one; the arguments are those of `Console`."""
    if not settings.console.enabled:
        return NO_MORE
    console = Console(
        new_secret=new_secret,
        is_realm_host=is_realm_host,
        host=settings.server.host,
        port=settings.server.port,
        session_lifetime=settings.console.session_lifetime,
        times=times,
    )
    return console.table()
