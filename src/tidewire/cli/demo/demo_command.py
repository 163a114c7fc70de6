"""`tidewire demo`: a server with an example realm, some traffic, and a text that says how to use it."""

import asyncio
import contextlib
import itertools
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import click
import msgspec

from tidewire.app.build import App
from tidewire.auth.users_file import read_users
from tidewire.cli.demo.board import Board, Draft
from tidewire.cli.demo.demo_routes import DemoRoutes
from tidewire.config import load
from tidewire.core.notices.notice import decode_notice
from tidewire.observability.log import build_log
from tidewire.observability.log_level import LogControl
from tidewire.server.server import Embedding, run

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
        users = stack.enter_context(
            resources.as_file(resources.files("tidewire.cli.demo") / "demo_users.toml")
        )
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
        board = _board(users)
        demo = _Demo(port, board, quiet=quiet)
        control = LogControl(settings.log.level)
        log = build_log(form=settings.log.format, level=control)
        run(
            settings,
            log=log,
            embedding=Embedding(more_routes=DemoRoutes(board).table(), log_control=control),
            on_ready=demo.begin,
        )


def _board(users_file: Path) -> Board:
    """The messages of the example realm."""
    example = read_users(users_file.read_bytes(), source=users_file.name)
    (realm,) = example.realms()
    return Board(realm, example.users())


class _Demo:
    """What a demo does beside serving."""

    def __init__(self, port: int, board: Board, *, quiet: bool) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._board = board
        self._quiet = quiet

    def begin(self, app: App) -> None:
        """Says how to use it, and starts the traffic."""
        click.echo(_guide(self._url))
        if not self._quiet:
            loop = asyncio.get_running_loop()
            traffic = _traffic(self._board)

            def publish() -> None:
                if not app.lifecycle.stopping:
                    notice = decode_notice(msgspec.json.encode(next(traffic)))
                    app.engine.publish([notice], _Ignored())
                    loop.call_later(TRAFFIC_EVERY, publish)

            loop.call_later(TRAFFIC_EVERY, publish)


class _Ignored:
    """The slot of whoever does not need the answer."""

    def complete(self, answer: object) -> None:
        """Ignores the answer: the demo needs none."""


def _traffic(board: Board) -> Iterator[Mapping[str, Any]]:
    """Notices for ever: Bob types, has written, his deployment is done, and Ada has read of it."""
    ada, bob, gil, _botty = board.users
    for number in itertools.count(1):
        sender = {"user_id": bob.id, "email": bob.email}
        typing = {"type": "typing", "message_type": "direct", "sender": sender, "recipients": []}
        yield {"event": {**typing, "op": "start"}, "users": [ada.id, gil.id]}
        yield {"event": {**typing, "op": "stop"}, "users": [ada.id, gil.id]}
        draft = Draft(sender=bob, content=f"Deployment {number} begins", client="demo", at=int(time.time()))
        said = board.send_direct(draft, [ada, gil])
        yield said.notice
        done = {"type": "deploy", "number": number, "state": "done"}
        yield {"event": done, "users": [user.id for user in board.users]}
        flags = {"type": "update_message_flags", "op": "add", "operation": "add", "flag": "read"}
        yield {"event": {**flags, "all": False, "messages": [said.message_id]}, "users": [ada.id]}


def _guide(url: str) -> str:
    command = shlex.quote(sys.argv[0]) if sys.argv[0].endswith("tidewire") else "python -m tidewire"
    notice = '{"event": {"type": "greeting", "text": "hello"}, "users": [1]}'
    return f"""
Tidewire serves a demo at {url}  (Ctrl-C stops it)

  Open             {url}/api/v1/server_settings

  Watch it all     {url}/console   with the secret {SECRET}

  Receive events as Ada; paste into another terminal:
    {command} tail --url {url} --email ada@demo.example --key {"a" * 32}

  Write her a message, as Bob:
    curl -u bob@demo.example:{"b" * 32} {url}/api/v1/messages -d type=direct -d to=ada@demo.example -d content=Hello

  Send her an event of any other kind:
    echo '{notice}' | {command} publish --url {url} --secret {SECRET} -

  Users            ada@demo.example (owner), bob@ (member), gil@ (guest), botty@ (bot);
                   their API keys are a, b, g and t, each 32 times
"""
