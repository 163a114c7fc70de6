"""`tidewire restart`: restarts supervised shards one after the other, then has old web clients reload (R9.16, R9.17)."""

import http.client
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from tidewire.cli.options import load_settings
from tidewire.config import Settings, shared_secret
from tidewire.supervisor.control import command
from tidewire.supervisor.shard_process import SupervisorError

BATCH = 5.0
"""Seconds: how far apart batches of web clients are."""

TRIES = 4
"""The first, and three more."""

ANSWER_WITHIN = 5.0

PATH = "/api/internal/web_reload_clients"


@click.command("restart")
@click.option("--config", type=click.Path(path_type=Path), help="Settings file [tidewire.toml, if there].")
@click.option("--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", help="Any setting.")
@click.option(
    "--reload-rate",
    type=click.FloatRange(0),
    default=50.0,
    show_default=True,
    help="How many old web clients a second are told to reload afterwards; 0 tells none.",
)
def restart_command(config: Path | None, settings: tuple[str, ...], reload_rate: float) -> None:
    """Restart the shards that `serve --shards` runs, one after the other."""
    loaded = load_settings(config, list(settings))
    ports = []
    for said in command(loaded.storage.directory, do="restart"):
        ports.append(int(said["shard"]))
        click.echo(f"shard {said['shard']} is ready again after {said['seconds']} s")
    if not reload_rate:
        return
    drive = ReloadDrive(asking(loaded), sleep=time.sleep, say=click.echo)
    if [port for port in ports if not drive.reload(port, rate=reload_rate)]:
        raise SupervisorError(
            "not all web clients were told to reload; those left are told when they register again"
        )


class ReloadDrive:
    """Tells the web clients of shards to reload, at a rate, one shard after the other."""

    def __init__(
        self,
        ask: Callable[[int, int], dict[str, Any]],
        *,
        sleep: Callable[[float], None],
        say: Callable[[str], None],
    ) -> None:
        """Takes what asks a shard to tell so many clients, how to wait, and how to say how far it is."""
        self._ask = ask
        self._sleep = sleep
        self._say = say

    def reload(self, port: int, *, rate: float) -> bool:
        """Goes through one shard's clients; whether all were told. One that fails is left, for the next one's sake."""
        told, size = 0, max(1, round(rate * BATCH))
        while True:
            try:
                answer = self._asked(port, size)
            except (OSError, ValueError) as error:
                self._say(f"shard {port}: told {told} web clients to reload, then failed: {error}")
                return False
            told += answer["sent_events"]
            if answer["complete"]:
                self._say(f"shard {port}: told {told} web clients to reload")
                return True
            self._sleep(BATCH)

    def _asked(self, port: int, size: int) -> dict[str, Any]:
        for number in range(TRIES - 1):
            try:
                return self._ask(port, size)
            except OSError:
                self._sleep(2.0**number)
        return self._ask(port, size)


def asking(settings: Settings) -> Callable[[int, int], dict[str, Any]]:
    """What asks a shard of this machine."""
    secret = shared_secret(
        secret=settings.server.secret,
        secret_file=settings.server.secret_file,
        directory=settings.storage.directory,
    )
    host = settings.server.host

    def ask(port: int, size: int) -> dict[str, Any]:
        connection = http.client.HTTPConnection(host, port, timeout=ANSWER_WITHIN)
        headers = {
            "Authorization": f"Bearer {secret}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        try:
            connection.request("POST", PATH, urlencode({"client_count": size}), headers)
            with connection.getresponse() as response:
                answer = json.load(response)
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()
        if response.status >= http.client.INTERNAL_SERVER_ERROR:
            raise OSError(answer.get("msg", response.reason))
        if response.status != http.client.OK:
            raise ValueError(answer.get("msg", response.reason))
        checked: dict[str, Any] = answer
        return checked

    return ask
