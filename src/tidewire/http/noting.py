"""The note of a request that Starlette serves: it travels in the request's scope."""

from starlette._utils import get_route_path
from starlette.requests import Request

from tidewire.http.client_name import Client, client_of
from tidewire.http.note import Note
from tidewire.http.parameters import Parameters

KEY = "tidewire.note"

SESSION_ROUTES = "/json/"

WEBSITE = "website"
"""What clients are called that ask with a browser session (R6.22)."""


def noted(request: Request, *, began: float, number: int) -> Request:
    """The request, with a fresh note."""
    request.scope[KEY] = note = Note(
        method=request.method,
        # As it is in the scope: a whole URL can't be made of every request.
        path=request.scope["path"],
        peer=request.client.host if request.client else None,
        headers=request.headers,
        began=began,
        number=number,
    )
    note.is_session = get_route_path(request.scope).startswith(SESSION_ROUTES)
    return request


def note_of(request: Request) -> Note:
    """The request's note."""
    note: Note = request.scope[KEY]
    return note


def noted_client(request: Request, parameters: Parameters) -> Client:
    """The program that asks (R6.20), noted for the log."""
    client = client_of(parameters.text("client"), request.headers.get("user-agent"))
    note = note_of(request)
    if note.is_session and not client.name.startswith("Zulip"):
        client = client._replace(name=WEBSITE)
    note.client = client
    return client
