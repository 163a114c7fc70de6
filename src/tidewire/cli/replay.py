"""`tidewire replay`: plays recorded scenarios and prints what each client got."""

import asyncio
import os
import sys
from pathlib import Path

import click
import msgspec

from tidewire.app.from_settings import idle_timeouts, limits, pace, presentation
from tidewire.cli.options import set_option
from tidewire.config import Settings, load
from tidewire.config.plugins import load_rules
from tidewire.replay.http_player import play_over_http
from tidewire.replay.player import Play, Result
from tidewire.replay.scenario import Scenario, ScenarioError, parse_scenario


@click.command("replay")
@set_option
@click.option(
    "--over",
    type=click.Choice(["engine", "http"]),
    default="engine",
    help="What to play on: the engine in process, or a real server [engine].",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...|-")
def replay_command(settings: tuple[str, ...], over: str, files: tuple[str, ...]) -> None:
    """Play scenarios; prints one JSON object a scenario, one a line."""
    loaded = load(file=None, environ=os.environ, overrides=settings)
    for name in files:
        scenario = parse_scenario(_content(name), source=name)
        if over == "http":
            result = asyncio.run(play_over_http(scenario, loaded))
        else:
            result = _on_engine(scenario, loaded)
        sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
        sys.stdout.buffer.flush()


def _on_engine(scenario: Scenario, settings: Settings) -> Result:
    play = Play(
        limits=limits(settings),
        timing=pace(settings),
        timeouts=idle_timeouts(settings),
        presentation=presentation(settings),
        rules=load_rules(settings.queues.rules),
    )
    return play.run(scenario)


def _content(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise ScenarioError(f"{name} can't be read: {error.strerror}") from None
