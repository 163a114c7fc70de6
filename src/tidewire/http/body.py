"""Reading a request: its body within bounds, and its parameters from query string and form (R6.7)."""

from urllib.parse import parse_qsl

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.types import Message, Receive

from tidewire.core.errors import BadRequest, PayloadTooLarge
from tidewire.http.parameters import Parameters

MAX_FORM_BYTES = 1024 * 1024
"""Of a form: parameters are short."""

MAX_FIELDS = 100
"""Of a form or a query string: the longest list of parameters that a client sends has twenty."""


def bounded(request: Request, max_bytes: int) -> Request:
    """The same request, whose body raises `PayloadTooLarge` beyond `max_bytes`, before it is read in."""
    if int(request.headers.get("content-length") or 0) > max_bytes:
        raise PayloadTooLarge(f"The request body is larger than {max_bytes} bytes")
    return Request(request.scope, _bounded_receive(request.receive, max_bytes))


def _bounded_receive(receive: Receive, max_bytes: int) -> Receive:
    left = max_bytes

    async def receive_bounded() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise PayloadTooLarge(f"The request body is larger than {max_bytes} bytes")
        return message

    return receive_bounded


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body, as it came."""
    return await bounded(request, max_bytes).body()


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


async def form_parameters(request: Request, max_bytes: int = MAX_FORM_BYTES) -> dict[str, str]:
    """The parameters of a form, urlencoded or multipart; empty when the body is something else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        body = await read_body(request, max_bytes)
        try:
            pairs = parse_qsl(
                body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
            )
        except ValueError:
            raise BadRequest("The form is not UTF-8, or has too many fields") from None
        return dict(pairs)
    if kind == "multipart/form-data":
        return await _multipart(request, max_bytes)
    return {}


async def _multipart(request: Request, max_bytes: int) -> dict[str, str]:
    parser = MultiPartParser(
        Headers({"Content-Type": _bytewise(request.headers["content-type"])}),
        bounded(request, max_bytes).stream(),
        max_files=0,
        max_fields=MAX_FIELDS,
        max_part_size=max_bytes,
    )
    try:
        fields = await parser.parse()
    except MultiPartException as error:
        raise BadRequest(f"The form can't be read: {error.message}") from None
    try:
        return {_utf8(name): _utf8(value) for name, value in fields.multi_items() if isinstance(value, str)}
    except UnicodeDecodeError:
        raise BadRequest("The form is not UTF-8") from None


def _bytewise(content_type: str) -> str:
    """The header with a charset that keeps every byte: which one is decoded by is not the sender's choice.

    Python has charsets that fail in ways of their own, and some that give text which is no Unicode.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"").decode("latin-1")
    if not boundary or '"' in boundary or "\\" in boundary:
        raise BadRequest("The form can't be read: its Content-Type gives no boundary")
    return f'multipart/form-data; boundary="{boundary}"; charset=latin-1'


def _utf8(text: str) -> str:
    return text.encode("latin-1").decode()


async def parameters_of(request: Request) -> Parameters:
    """All parameters of a request; a form's win over those of the query string."""
    return Parameters(query_parameters(request) | await form_parameters(request))
