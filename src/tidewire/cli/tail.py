"""`tidewire tail`: prints the events of an account as they come, until stopped."""

import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn

import click

from tidewire._text import escaped
from tidewire.cli.output import cut, outline
from tidewire.client import BadUrl, Client, ClientError, Gap


@click.command("tail")
@click.option(
    "--url", default="http://127.0.0.1:9800", envvar="TIDEWIRE_URL", show_default=True, help="The server."
)
@click.option("--email", required=True, envvar="TIDEWIRE_EMAIL", help="The account [env: TIDEWIRE_EMAIL].")
@click.option("--key", required=True, envvar="TIDEWIRE_KEY", help="Its API key [env: TIDEWIRE_KEY].")
@click.option("--event-types", metavar="A,B", help="Only these types of events.")
@click.option("--narrow", multiple=True, metavar="OP:OPERAND", help="Only messages that match; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as one line of JSON.")
def tail_command(
    *, url: str, email: str, key: str, event_types: str | None, narrow: tuple[str, ...], as_json: bool
) -> None:
    """Print the events of an account as they come, until stopped.

    When the event queue is gone a new one is registered in its place, and a line on standard error says why
    and where events may be missing.
    """
    types = None if event_types is None else [name.strip() for name in event_types.split(",") if name.strip()]
    terms = [_term(text) for text in narrow]
    show = _json_line if as_json else _readable_line
    with _until_stopped(), _client(url, email, key) as client:
        for event in client.events(types, terms, on_gap=_say_gap, on_retry=_say_retry):
            _print(show(event))


def _client(url: str, email: str, key: str) -> Client:
    try:
        return Client(url, email=email, api_key=key)
    except BadUrl as error:
        raise click.BadParameter(str(error), param_hint="--url") from error


def _term(text: str) -> list[str]:
    operator, colon, operand = text.partition(":")
    if not colon or not operator:
        raise click.BadParameter(f"write {text!r} as operator:operand", param_hint="--narrow")
    return [operator, operand]


@contextlib.contextmanager
def _until_stopped() -> Iterator[None]:
    """Ends the block quietly at SIGINT, SIGTERM, or when nobody reads standard output any more."""

    def stop(_number: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    earlier = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        _discard_output()
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _discard_output() -> None:
    """Points standard output at nothing, so that Python's own flush at the end has nothing to complain of."""
    with contextlib.suppress(OSError), open(os.devnull, "wb") as nothing:  # noqa: PTH123  # a device, not a path
        os.dup2(nothing.fileno(), sys.stdout.fileno())


def _json_line(event: dict[str, Any]) -> str:
    return json.dumps(event, separators=(",", ":"))


def _readable_line(event: dict[str, Any]) -> str:
    line = f"{datetime.now(tz=UTC).astimezone():%H:%M:%S} {outline(event)}"
    return cut(line, shutil.get_terminal_size().columns) if sys.stdout.isatty() else line


def _print(line: str) -> None:
    """Prints a line at once, with escapes for what standard output's encoding lacks."""
    encoding = sys.stdout.encoding or "utf-8"
    click.echo(line.encode(encoding, "backslashreplace").decode(encoding))


def _say_gap(gap: Gap) -> None:
    _say(
        f"queue {gap.old_queue_id} is gone ({gap.reason}): registered {gap.new_queue_id} in its place; "
        f"events after {gap.last_event_id} may be missing"
    )


def _say_retry(error: ClientError, delay: float) -> None:
    _say(f"{error}; trying again in {delay:.1f} s")


def _say(sentence: str) -> None:
    click.echo(escaped(sentence), err=True)
