"""Forms, counted before they are decoded, and decoded in slices: urlencoded and multipart (R6.7).

Everything is counted first, because decoding what was sent on purpose takes a hundred times as long as counting it. The
secret of an internal request is looked up in the bytes themselves, so that nothing is decoded for who doesn't know it.
"""

from collections.abc import AsyncGenerator, Iterator
from urllib.parse import unquote_to_bytes

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser

from tidewire.core.errors import BadRequest, PayloadTooLarge
from tidewire.core.slices import Work
from tidewire.http.slice_scheduler import Turns

MAX_FIELDS = 100
"""Of a form or a query string: the longest list of parameters that a client sends has twenty."""

MAX_MULTIPART_BYTES = 1024 * 1024
"""Of a multipart form: browsers and zulip-js send parameters so, and those are short. What is longer is sent urlencoded."""

UNQUOTE_BYTES = 4 * 1024
"""Of a urlencoded value, decoded at once: a millisecond, if it is nothing but percent signs."""

FEED_BYTES = 64 * 1024
"""Of a multipart form, given to its parser at once: half a millisecond, where every line begins like a boundary."""

SEARCH_BYTES = 256 * 1024
"""Of a form, searched through at once: well under a millisecond for whatever it is made of."""

MAX_SECRET_BYTES = 4096
"""Of a secret as it is sent: longer ones are none, and are not decoded."""

SECRET = b"secret="

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

NOT_UTF8 = "The form is not UTF-8"


def kind_of(content_type: str) -> str:
    """The kind of a body, without what else its Content-Type says."""
    return content_type.partition(";")[0].strip().lower()


def read_urlencoded(body: bytes) -> Work[dict[str, bytes]]:
    """The fields of a urlencoded form, their values not decoded from UTF-8 yet; of a repeated one the last counts.

    Raises:
        BadRequest: it has too many fields, or is not UTF-8.
    """
    separators = 0
    for begin in range(0, len(body), SEARCH_BYTES):
        separators += body.count(b"&", begin, begin + SEARCH_BYTES)
        if separators >= MAX_FIELDS:
            raise BadRequest(f"The form has more than {MAX_FIELDS} fields")
        if begin:
            yield
    fields: dict[str, bytes] = {}
    done = 0
    for pair in body.split(b"&"):
        if not pair:
            continue
        done += len(pair)
        if done > UNQUOTE_BYTES:
            yield
            done = len(pair) % UNQUOTE_BYTES
        name, _, value = pair.partition(b"=")
        decoded = yield from _unquoted(name)
        fields[text_of(decoded)] = yield from _unquoted(value)
    return fields


def text_of(value: bytes) -> str:
    """A name or value of a form as text.

    Raises:
        BadRequest: it is not UTF-8.
    """
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise BadRequest(NOT_UTF8) from None


def _unquoted(value: bytes) -> Work[bytes]:
    pieces: list[bytes] = []
    begin = 0
    while begin < len(value):
        end = begin + UNQUOTE_BYTES
        if end < len(value):
            # An escape stays whole.
            cut = value.find(b"%", end - 2, end)
            end = end if cut < 0 else cut
        pieces.append(unquote_to_bytes(value[begin:end].replace(b"+", b" ")))
        begin = end
        if begin < len(value):
            yield
    return b"".join(pieces)


async def read_multipart(body: bytes, content_type: str, turns: Turns) -> dict[str, bytes]:
    """The fields of a multipart form; of a repeated one the last counts.

    Raises:
        BadRequest: it can't be read, has too many fields or a file, or is not UTF-8.
    """
    check_multipart(len(body))
    parser = MultiPartParser(
        Headers({"Content-Type": _bytewise(content_type)}),
        _fed(body, turns),
        max_files=0,
        max_fields=MAX_FIELDS,
        max_part_size=MAX_MULTIPART_BYTES,
    )
    try:
        fields = await parser.parse()
    except MultiPartException as error:
        raise BadRequest(f"The form can't be read: {error.message}") from None
    return {
        text_of(name.encode("latin-1")): value.encode("latin-1")
        for name, value in fields.multi_items()
        if isinstance(value, str)
    }


def check_multipart(size: int) -> None:
    """Refuses a multipart form that is too long.

    Raises:
        PayloadTooLarge: it is.
    """
    if size > MAX_MULTIPART_BYTES:
        raise PayloadTooLarge(
            f"A multipart form may have {MAX_MULTIPART_BYTES} bytes: send a longer one urlencoded"
        )


async def _fed(body: bytes, turns: Turns) -> AsyncGenerator[bytes, None]:
    for begin in range(0, len(body), FEED_BYTES):
        if begin:
            await turns.do(_nothing())
        yield body[begin : begin + FEED_BYTES]
    yield b""


def _nothing() -> Work[None]:
    """A slice in which nothing is done: the next in line after it is whoever asks."""
    yield


def find_secret(body: bytes, content_type: str) -> Work[str | None]:
    """The field `secret` of a form, found without decoding anything else; None when there is none.

    Senders write its name plainly. A name that is itself encoded is not looked for.
    """
    kind = kind_of(content_type)
    if kind == URLENCODED:
        value = yield from _urlencoded_secret(body)
    elif kind == MULTIPART:
        check_multipart(len(body))
        value = _multipart_secret(body, content_type)
    else:
        return None
    # With whatever is no UTF-8 kept, as in a header; it equals no secret.
    return None if value is None else value.decode("utf-8", "surrogateescape")


def _urlencoded_secret(body: bytes) -> Work[bytes | None]:
    """The last of that name, as in reading; it is looked for from the end, where clients put it."""
    end = len(body)
    begin = -1
    while end > 0 and begin < 0:
        start = max(0, end - SEARCH_BYTES)
        # A name that begins before the window ends may go on behind it.
        begin = body.rfind(b"&" + SECRET, start, end + len(SECRET))
        end = start
        yield
    if begin < 0 and not body.startswith(SECRET):
        return None
    begin += 1 + len(SECRET)
    end = body.find(b"&", begin)
    value = body[begin : len(body) if end < 0 else end]
    return unquote_to_bytes(value.replace(b"+", b" ")) if len(value) <= MAX_SECRET_BYTES else b""


def _multipart_secret(body: bytes, content_type: str) -> bytes | None:
    found: bytes | None = None
    for part in _parts(body, _boundary(content_type).encode("latin-1")):
        head, _, value = part.partition(b"\r\n\r\n")
        if b'name="secret"' in head[:MAX_SECRET_BYTES]:
            found = value.removesuffix(b"\r\n")[:MAX_SECRET_BYTES]
    return found


def _parts(body: bytes, boundary: bytes) -> Iterator[bytes]:
    delimiter = b"--" + boundary
    if body.count(delimiter) > MAX_FIELDS + 1:
        raise BadRequest("The form can't be read: Too many fields")
    return iter(body.split(delimiter))


def _boundary(content_type: str) -> str:
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"").decode("latin-1")
    if not boundary or '"' in boundary or "\\" in boundary:
        raise BadRequest("The form can't be read: its Content-Type gives no boundary")
    return boundary


def _bytewise(content_type: str) -> str:
    """The header with a charset that keeps every byte: which one is decoded by is not the sender's choice.

    Python has charsets that fail in ways of their own, and some that give text which is no Unicode.
    """
    return f'multipart/form-data; boundary="{_boundary(content_type)}"; charset=latin-1'
