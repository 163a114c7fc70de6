"""HTTP requests as a scenario needs them: each on a connection of its own, many at once."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

OK = 200


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes


async def ask(port: int, request: bytes) -> Answer:
    """Sends a request to this machine and reads its answer.

    A cancelled one closes its connection, as a client does that goes away.

    Raises:
        OSError: there is no whole answer.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.read()
    except asyncio.IncompleteReadError:
        raise ConnectionError("The server closed the connection without an answer") from None
    finally:
        writer.close()
    return Answer(int(head.split(b" ", 2)[1]), body)


def request_bytes(
    method: str,
    path: str,
    *,
    headers: Mapping[str, str],
    query: Mapping[str, Any] | None = None,
    form: Mapping[str, Any] | None = None,
    body: bytes = b"",
) -> bytes:
    """A request whose answer ends with the connection. Parameters that are no strings are sent as JSON (R6.8)."""
    lines = {"Host": "127.0.0.1", "Connection": "close", **headers}
    if form is not None:
        lines["Content-Type"] = "application/x-www-form-urlencoded"
        body = _encoded(form)
    lines["Content-Length"] = str(len(body))
    target = path if query is None else f"{path}?{_encoded(query).decode()}"
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body


def _encoded(parameters: Mapping[str, Any]) -> bytes:
    return urlencode(
        {name: value if isinstance(value, str) else json.dumps(value) for name, value in parameters.items()}
    ).encode()
