"""Options that several commands share, and the settings that a command works by."""

import os
from pathlib import Path

import click

from tidewire._http import bearer
from tidewire.config import Settings, load

URL = "http://127.0.0.1:9800"
"""Where a server listens unless told otherwise."""


config_option = click.option(
    "--config", type=click.Path(path_type=Path), help="Settings file [tidewire.toml, if there]."
)


set_option = click.option(
    "--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", help="Any setting."
)


url_option = click.option("--url", default=URL, envvar="TIDEWIRE_URL", show_default=True, help="The server.")


secret_option = click.option(
    "--secret", envvar="TIDEWIRE_SECRET", help="The server's secret [env: TIDEWIRE_SECRET]."
)


def required(secret: str | None, hint: str = "") -> str:
    """The secret; `hint` says what else can be done without one.

    Raises:
        click.UsageError: there is none.
    """
    if not secret:
        raise click.UsageError(
            "No secret: give --secret or set TIDEWIRE_SECRET; the server has it in its settings, "
            "or in the file that it made in its state directory." + hint
        )
    return secret


def header_of(secret: str) -> dict[str, str]:
    """The header that says who asks.

    Raises:
        click.BadParameter: the secret can't stand in it.
    """
    try:
        return bearer(secret)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--secret") from None


DEFAULT_FILE = Path("tidewire.toml")
"""Read when it is there and no other is named."""


def load_settings(config: Path | None, overrides: list[str]) -> Settings:
    """The settings from file, environment and flags.

    Raises:
        ConfigError: something is wrong with them.
    """
    file = config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    return load(file=file, environ=os.environ, overrides=overrides)
