"""Options that several commands have."""

from pathlib import Path

import click

config_option = click.option(
    "--config", type=click.Path(path_type=Path), help="Settings file [tidewire.toml, if there]."
)
set_option = click.option(
    "--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", help="Any setting."
)
