"""`tidewire demo`: a server with an example realm, some traffic, and a text that says how to use it."""

import asyncio
import contextlib
import itertools
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import click
import msgspec

from tidewire.app import App
from tidewire.config import load
from tidewire.core.notice import decode_notice
from tidewire.logs import build_log
from tidewire.server import run

SECRET = "demo-secret"  # noqa: S105 - printed for everybody to use, on loopback only

TRAFFIC_EVERY = 5.0
"""Seconds between two events of the example traffic."""


@click.command("demo")
@click.option("--port", type=int, default=9800, show_default=True, help="Port on 127.0.0.1.")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Keep the state here [thrown away].")
@click.option("--quiet", is_flag=True, help="No example traffic.")
def demo_command(port: int, state_dir: Path | None, quiet: bool) -> None:
    """Serve an example realm, to try Tidewire with."""
    with contextlib.ExitStack() as stack:
        directory = state_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidewire-")))
        users = stack.enter_context(resources.as_file(resources.files("tidewire.cli") / "demo_users.toml"))
        # No settings file: whatever lies in the working directory is not about the demo.
        settings = load(
            file=None,
            environ=os.environ,
            overrides=[
                "server.host=127.0.0.1",  # the secret and the keys are known to everybody
                f"server.port={port}",
                f"server.secret={SECRET}",
                f"auth.users_file={users}",
                f"storage.directory={directory.absolute()}",
                "storage.durability=none",
            ],
        )
        demo = _Demo(port, quiet=quiet)
        run(settings, log=build_log(form=settings.log.format, level=settings.log.level), on_ready=demo.begin)


class _Demo:
    """What a demo does beside serving."""

    def __init__(self, port: int, *, quiet: bool) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._quiet = quiet

    def begin(self, app: App) -> None:
        """Says how to use it, and starts the traffic."""
        click.echo(_guide(self._url))
        if not self._quiet:
            loop = asyncio.get_running_loop()
            traffic = _traffic()

            def publish() -> None:
                if not app.lifecycle.stopping:
                    notice = decode_notice(msgspec.json.encode(next(traffic)))
                    app.engine.publish([notice], _Ignored())
                    loop.call_later(TRAFFIC_EVERY, publish)

            loop.call_later(TRAFFIC_EVERY, publish)


class _Ignored:
    """The slot of whoever does not need the answer."""

    def complete(self, answer: object) -> None:
        """Takes it."""


def _traffic() -> Iterator[dict[str, Any]]:
    """Notices for everybody, for ever: Bob types, sends word of a deployment, and Ada reads it."""
    bob = {"user_id": 2, "email": "bob@demo.example"}
    for number in itertools.count(1):
        typing = {"type": "typing", "message_type": "direct", "sender": bob, "recipients": []}
        yield {"event": {**typing, "op": "start"}, "users": [1, 3]}
        yield {"event": {**typing, "op": "stop"}, "users": [1, 3]}
        yield {"event": {"type": "deploy", "number": number, "state": "done"}, "users": [1, 2, 3, 4]}
        flags = {"type": "update_message_flags", "op": "add", "operation": "add", "flag": "read"}
        yield {"event": {**flags, "all": False, "messages": [number]}, "users": [1]}


def _guide(url: str) -> str:
    command = shlex.quote(sys.argv[0]) if sys.argv[0].endswith("tidewire") else "python -m tidewire"
    notice = '{"event": {"type": "greeting", "text": "hello"}, "users": [1]}'
    return f"""
Tidewire serves a demo at {url}  (Ctrl-C stops it)

  Open             {url}/api/v1/server_settings

  Receive events as Ada; paste into another terminal:
    {command} tail --url {url} --email ada@demo.example --key {"a" * 32}

  Send her one:
    echo '{notice}' | {command} publish --url {url} --secret {SECRET} -

  Users            ada@demo.example (owner), bob@ (member), gil@ (guest), botty@ (bot);
                   their API keys are a, b, g and t, each 32 times
"""
