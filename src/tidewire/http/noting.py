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
    note = note_of(request)
    note.client = client_of_note(note, parameters.text("client"))
    return note.client


def client_of_note(note: Note, claimed: str | None) -> Client:
    """The program that asks, by what it claims and by its header."""
    client = client_of(claimed, note.headers.get("user-agent"))
    if note.is_session and not client.name.startswith("Zulip"):
        return client._replace(name=WEBSITE)
    return client
