"""Reading a request: its body within bounds, and its parameters from query string and form (R6.7)."""

from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from tidewire.core.errors import BadRequest, PayloadTooLarge
from tidewire.core.work import finished
from tidewire.http.forms import (
    MAX_FIELDS,
    MULTIPART,
    UNQUOTE_BYTES,
    URLENCODED,
    check_multipart,
    kind_of,
    read_multipart,
    read_urlencoded,
    text_of,
)
from tidewire.http.parameters import Parameters
from tidewire.http.turns import Turns

MAX_FORM_BYTES = 1024 * 1024
"""Of a form: parameters are short."""

SMALL_BYTES = 16 * 1024
"""Of a form that gives a few words."""


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body, as it came.

    Args:
        request: whose body nobody has read.
        max_bytes: how long it may be.

    Raises:
        PayloadTooLarge: it is longer, or says that it will be; no more of it is read.
        ClientDisconnect: the client went away in the middle of it.
    """
    too_large = PayloadTooLarge(f"The request body is larger than {max_bytes} bytes")
    if int(request.headers.get("content-length") or 0) > max_bytes:
        raise too_large
    chunks: list[bytes] = []
    left = max_bytes
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        left -= len(chunk)
        if left < 0:
            raise too_large
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


def query_parameters(request: Request) -> dict[str, str]:
    """The parameters of the query string; of a repeated one the last counts."""
    try:
        pairs = parse_qsl(
            request.scope["query_string"].decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        raise BadRequest("The query string is not UTF-8, or has too many parameters") from None
    return dict(pairs)


def has_form(request: Request) -> bool:
    """Whether the body is one that parameters are read from."""
    return kind_of(request.headers.get("content-type", "")) in {URLENCODED, MULTIPART}


async def form_fields(body: bytes, content_type: str, turns: Turns) -> dict[str, bytes]:
    """The fields of a form that was read, urlencoded or multipart; empty when it is something else.

    Raises:
        BadRequest: it can't be read.
    """
    kind = kind_of(content_type)
    if kind == URLENCODED:
        work = read_urlencoded(body)
        return finished(work) if len(body) <= UNQUOTE_BYTES else await turns.do(work)
    if kind == MULTIPART:
        return await read_multipart(body, content_type, turns)
    return {}


async def form_parameters(request: Request, turns: Turns, max_bytes: int = MAX_FORM_BYTES) -> dict[str, str]:
    """The parameters of a form; a body of another kind is not read, and gives none.

    Raises:
        BadRequest: it can't be read.
        PayloadTooLarge: it is larger than `max_bytes`.
    """
    if not has_form(request):
        return {}
    content_type = request.headers["content-type"]
    if kind_of(content_type) == MULTIPART:
        check_multipart(int(request.headers.get("content-length") or 0))
    fields = await form_fields(await read_body(request, max_bytes), content_type, turns)
    return {name: text_of(value) for name, value in fields.items()}


async def parameters_of(request: Request, turns: Turns) -> Parameters:
    """All parameters of a request that was let in; a form's win over those of the query string."""
    return Parameters(query_parameters(request) | await form_parameters(request, turns))
