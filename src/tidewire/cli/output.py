"""Talking to a running server as an operator, and showing its answers on a terminal."""

import json
import sys
import unicodedata
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from tidewire._http import BadUrl, Connection, error_of
from tidewire._text import escaped
from tidewire.cli.options import header_of, required, secret_option, url_option

OK = 200


PATIENCE = 30.0
"""Seconds in which the server must answer."""


F = TypeVar("F", bound=Callable[..., Any])


def operator_options(command: F) -> F:
    """The options that all of these commands have."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON."),
        secret_option,
        url_option,
    ):
        command = option(command)
    return command


class Operator:
    """A running server, asked by its operator."""

    def __init__(self, url: str, secret: str | None) -> None:
        """Takes the address.

        Raises:
            click.UsageError: there is no secret, or the address or the secret can't be used.
        """
        headers = header_of(required(secret))
        try:
            self._connection = Connection(url, headers=headers)
        except BadUrl as error:
            raise click.BadParameter(str(error), param_hint="--url") from error

    def ask(self, path: str, body: bytes | None = None, **parameters: object) -> dict[str, Any]:
        """The answer of a route below `/api/internal/`; parameters that are None are left out.

        Raises:
            TransportFailed: there was none.
            click.ClickException: the server refused.
        """
        given = {name: _text(value) for name, value in parameters.items() if value is not None}
        query = "?" + urllib.parse.urlencode(given) if given else ""
        answer = self._connection.request(
            "GET" if body is None else "POST",
            f"/api/internal/{path}{query}",
            timeout=PATIENCE,
            body=body,
            content_type="" if body is None else "application/json",
        )
        if answer.status != OK or answer.json is None:
            code, sentence, _ = error_of(answer)
            raise click.ClickException(escaped(f"{sentence} ({code})"))
        return answer.json


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def in_path(text: str) -> str:
    """Text as a part of a path."""
    return urllib.parse.quote(text, safe="")


def print_json(answer: Mapping[str, Any]) -> None:
    """Prints an answer without its envelope."""
    shown = {name: value for name, value in answer.items() if name not in {"result", "msg"}}
    click.echo(json.dumps(shown, indent=2 if sys.stdout.isatty() else None))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns, as wide as what stands in them; numbers to the right."""
    lines = [list(head), *([escaped(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    is_number = [
        all(line[column].replace(".", "", 1).isdigit() for line in lines[1:] if line[column] not in {"", "-"})
        for column in range(len(head))
    ]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, is_number, strict=True)
        ).rstrip()
        for line in lines
    )


def clock_time(at: float | None) -> str:
    """A time of day for a person."""
    if at is None:
        return "-"
    return f"{datetime.fromtimestamp(at, tz=UTC).astimezone():%H:%M:%S.%f}"[:-3]


def seconds(count: float) -> str:
    """A length of time in few characters."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if count >= size:
            return f"{count / size:.1f}{unit}"
    return f"{max(0.0, count):.1f}s"


def size(count: float) -> str:
    """A number of bytes in few characters."""
    for large, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= large:
            return f"{count / large:.1f} {unit}"
    return f"{count:.0f} B"


ELLIPSIS = "…"


def cut(text: str, columns: int) -> str:
    """Cuts text so that it fills at most so many columns, its last one showing that something is missing."""
    used, end = 0, 0
    for position, character in enumerate(text):
        used += _columns(character)
        if used > columns:
            return text[:end] + ELLIPSIS
        if used < columns:
            end = position + 1
    return text


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


#: Characters of one value that are shown; long contents would push the other keys off the line.
VALUE_LENGTH = 60


#: What stands at the front of the line, or says nothing to a reader.
NOT_OUTLINED = frozenset({"id", "type", "op", "operation"})


#: Of the many keys of a message, those that tell which one it is.
MESSAGE_KEYS = ("id", "sender_full_name", "display_recipient", "subject", "content")


def outline(event: Mapping[str, Any]) -> str:
    """Returns the line, with control characters escaped."""
    operation = event.get("op", event.get("operation"))
    front = [
        str(event.get("id")),
        str(event.get("type")),
        *([str(operation)] if operation is not None else []),
    ]
    return escaped(" ".join([*front, *_members(event)]))


def _members(event: Mapping[str, Any]) -> Iterator[str]:
    for key, value in event.items():
        if key == "message" and isinstance(value, Mapping):
            yield from (f"{name}={_short(value[name])}" for name in MESSAGE_KEYS if name in value)
        elif key not in NOT_OUTLINED:
            yield f"{key}={_short(value)}"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= VALUE_LENGTH else text[: VALUE_LENGTH - 1] + ELLIPSIS
