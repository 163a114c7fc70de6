"""`tidewire loglevel`: what a running server logs, to be asked for and to be changed."""

import contextlib
from urllib.parse import urlencode

import click
import msgspec

from tidewire import TidewireError
from tidewire._http import BadUrl, Connection, error_of
from tidewire.log_control import LEVELS

PATH = "/api/internal/loglevel"
OK = 200

PATIENCE = 10.0
"""Seconds in which the server must answer."""


class LogLevelRefused(TidewireError):
    """The server did not say what its level is."""

    code = "LOG_LEVEL_REFUSED"


@click.command("loglevel")
@click.option(
    "--url", default="http://127.0.0.1:9800", envvar="TIDEWIRE_URL", show_default=True, help="The server."
)
@click.option("--secret", envvar="TIDEWIRE_SECRET", help="The server's secret [env: TIDEWIRE_SECRET].")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.argument("level", type=click.Choice(LEVELS), required=False)
def loglevel_command(url: str, secret: str | None, level: str | None, as_json: bool) -> None:
    """Say what a running server logs, or have it log LEVEL and what is more important until it stops."""
    if not secret:
        raise click.UsageError(
            "No secret: give --secret or set TIDEWIRE_SECRET; the server has it in its settings, "
            "or in the file that it made in its state directory."
        )
    before, now = _exchange(url, secret, level)
    if as_json:
        click.echo(msgspec.json.encode({"level": now, "before": before}))
    else:
        click.echo(now if level is None else f"{now} (before: {before})")


def _exchange(url: str, secret: str, level: str | None) -> tuple[str, str]:
    """The level before and now."""
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise click.BadParameter("must be printable ASCII without spaces", param_hint="--secret")
    try:
        connection = Connection(url, headers={"Authorization": f"Bearer {secret}"})
    except BadUrl as error:
        raise click.BadParameter(str(error), param_hint="--url") from error
    with contextlib.closing(connection):
        answer = connection.request(
            "POST",
            PATH,
            timeout=PATIENCE,
            body=urlencode({} if level is None else {"level": level}).encode(),
            content_type="application/x-www-form-urlencoded",
        )
    if answer.status != OK or answer.json is None or not {"before", "level"} <= answer.json.keys():
        code, sentence, _ = error_of(answer)
        raise LogLevelRefused(f"{sentence} ({code})")
    return str(answer.json["before"]), str(answer.json["level"])
