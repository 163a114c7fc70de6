"""`tidewire replay`: plays recorded scenarios and prints what each client got."""

import os
import sys
from pathlib import Path

import click
import msgspec

from tidewire.app import idle_timeouts, limits, pace, presentation
from tidewire.config import load
from tidewire.config.rules import load_rules
from tidewire.replay.player import Play
from tidewire.replay.scenario import ScenarioError, parse_scenario


@click.command("replay")
@click.option("--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", help="Any setting.")
@click.option(
    "--over", type=click.Choice(["engine"]), default="engine", help="What to play on [engine, in process]."
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...|-")
def replay_command(settings: tuple[str, ...], over: str, files: tuple[str, ...]) -> None:  # noqa: ARG001 - one choice
    """Play scenarios with a virtual clock; prints one JSON object a scenario, one a line."""
    loaded = load(file=None, environ=os.environ, overrides=settings)
    rules = load_rules(loaded.queues.rules)
    for name in files:
        scenario = parse_scenario(_content(name), source=name)
        play = Play(
            limits=limits(loaded),
            pace=pace(loaded),
            timeouts=idle_timeouts(loaded),
            presentation=presentation(loaded),
            rules=rules,
        )
        sys.stdout.buffer.write(msgspec.json.encode(play.run(scenario)) + b"\n")
        sys.stdout.buffer.flush()


def _content(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise ScenarioError(f"{name} can't be read: {error.strerror}") from None
