"""The server mounted in another application: the same answers, its lifespan, and an end that does not wait."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from support import asgi
from support.lane_server import until
from support.raw_http import Closed, RawConnection, request_bytes
from support.server_process import (
    SECRET,
    ServerProcess,
    clean_environment,
    credentials,
    free_port,
    users_file,
)
from support.waiting import eventually
from tidewire.contrib.asgi import NotRunning, Tidewire
from tidewire.core.errors import InvalidNotice
from tidewire.initial_state import Provider
from tidewire.observability.log import build_log


def mounted(folder: Path, **more: Any) -> Tidewire:
    (folder / "users.toml").write_text(users_file("ada", "bob"))
    settings = {
        "auth.users_file": folder / "users.toml",
        "storage.directory": folder / "state",
        "server.secret": SECRET,
        "server.internal_from": ["127.0.0.1"],
    }
    log = build_log(form="json", level="info", stream=io.StringIO())
    return Tidewire(settings=settings, log=log, **more)


@pytest.mark.parametrize("prefix", ["", "/live"])
async def test_the_routes_are_the_same_below_any_path(tmp_path: Path, prefix: str) -> None:
    tidewire = mounted(tmp_path)
    app = Starlette(routes=[Mount(prefix or "/", app=tidewire)], lifespan=tidewire.lifespan)
    async with app.router.lifespan_context(app):
        ada = credentials("ada")
        answer = await asgi.ask(app, "POST", f"{prefix}/api/v1/register", form={}, headers=ada)
        assert answer.status == 200, answer
        queue_id = answer.json["queue_id"]
        query = {"queue_id": queue_id, "last_event_id": -1}
        waiting = asgi.begin(app, "GET", f"{prefix}/api/v1/events", query=query, headers=ada)
        await asgi.settle()
        await tidewire.send_event(realm_id=1, event={"type": "note", "text": "x"}, users=[1])
        events = (await waiting.answer()).json["events"]
        assert events == [{"type": "note", "text": "x", "id": 0}]
        assert (await asgi.ask(app, "GET", f"{prefix}/health/ready")).status == 200
        assert (await asgi.ask(app, "POST", f"{prefix}/json/register", form={})).status == 401
        assert (await asgi.ask(app, "GET", f"{prefix}/no/such")).json["code"] == "NOT_FOUND"
        told = {"event": {"type": "note"}, "users": [1]}
        answer = await asgi.ask(
            app,
            "POST",
            f"{prefix}/api/internal/notices",
            body=json.dumps(told).encode(),
            headers={"authorization": f"Bearer {SECRET}"},
        )
        assert answer.json["accepted"] == 1


@pytest.mark.parametrize(("own_log", "status"), [(False, 200), (True, 404)])
async def test_the_level_of_its_own_log_can_be_changed_while_it_runs(
    tmp_path: Path, *, own_log: bool, status: int
) -> None:
    (tmp_path / "users.toml").write_text(users_file("ada"))
    settings = {
        "auth.users_file": tmp_path / "users.toml",
        "storage.directory": tmp_path / "state",
        "server.secret": SECRET,
        "log.level": "error",
    }
    log = build_log(form="json", level="info", stream=io.StringIO()) if own_log else None
    tidewire = Tidewire(settings=settings, log=log)
    async with tidewire.lifespan():
        answer = await asgi.ask(
            tidewire,
            "POST",
            "/api/internal/loglevel",
            form={"level": "warning"},
            headers={"authorization": f"Bearer {SECRET}"},
        )
        assert answer.status == status, answer
        if not own_log:
            assert (answer.json["before"], answer.json["level"]) == ("error", "warning")


async def test_queues_survive_the_end_of_the_lifespan(tmp_path: Path) -> None:
    first = mounted(tmp_path)
    async with first.lifespan():
        answer = await asgi.ask(first, "POST", "/api/v1/register", form={}, headers=credentials("ada"))
        query = {"queue_id": answer.json["queue_id"], "last_event_id": -1}
        waiting = asgi.begin(first, "GET", "/api/v1/events", query=query, headers=credentials("ada"))
        await asgi.settle()
        assert not waiting.is_answered
    # What waited was ended for the stop's sake.
    assert (await waiting.answer()).json["events"] == []
    second = mounted(tmp_path)
    async with second.lifespan():
        await second.send_event(event={"type": "note"}, users=[1])
        query["dont_block"] = True
        answer = await asgi.ask(second, "GET", "/api/v1/events", query=query, headers=credentials("ada"))
        assert [event["type"] for event in answer.json["events"]] == ["restart", "note"]


async def test_outside_its_lifespan_it_says_what_is_wrong(tmp_path: Path) -> None:
    tidewire = mounted(tmp_path)
    with pytest.raises(NotRunning, match="lifespan"):
        await asgi.ask(tidewire, "GET", "/health/live")
    with pytest.raises(NotRunning):
        tidewire.send_event_from_thread(event={"type": "a"}, users=[1])


async def test_a_plain_function_on_a_thread_publishes(tmp_path: Path) -> None:
    tidewire = mounted(tmp_path)
    async with tidewire.lifespan():
        await asyncio.to_thread(tidewire.send_event_from_thread, event={"type": "a"}, users=[1])
        with pytest.raises(InvalidNotice):
            await asyncio.to_thread(tidewire.send_event_from_thread, event={}, users=[1])


async def test_providers_may_be_given(tmp_path: Path) -> None:
    tidewire = mounted(tmp_path, providers=[Provider(fetch_type="things", read=lambda _: {"things": [1]})])
    async with tidewire.lifespan():
        answer = await asgi.ask(tidewire, "POST", "/api/v1/register", form={}, headers=credentials("ada"))
        assert answer.json["things"] == [1]


async def test_as_an_application_of_its_own_it_answers_the_lifespan_protocol(tmp_path: Path) -> None:
    tidewire = mounted(tmp_path)
    incoming: asyncio.Queue[Any] = asyncio.Queue()
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    running = asyncio.create_task(tidewire({"type": "lifespan"}, incoming.get, send))
    incoming.put_nowait({"type": "lifespan.startup"})
    async with asyncio.timeout(60):
        await until(lambda: bool(sent))
        incoming.put_nowait({"type": "lifespan.shutdown"})
        await running
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

    (tmp_path / "users.toml").unlink()
    incoming.put_nowait({"type": "lifespan.startup"})
    sent.clear()
    await tidewire({"type": "lifespan"}, incoming.get, send)
    assert sent == ["lifespan.startup.failed"]


APPLICATION = """
from starlette.applications import Starlette
from starlette.routing import Mount
from tidewire.contrib.asgi import Tidewire

tidewire = Tidewire("tidewire.toml")
app = Starlette(routes=[Mount("/", app=tidewire)], lifespan=tidewire.lifespan)
"""


@pytest.fixture
def uvicorn_process(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The application under a plain uvicorn, as its users would run it."""
    (tmp_path / "users.toml").write_text(users_file("ada"))
    (tmp_path / "application.py").write_text(APPLICATION)
    (tmp_path / "tidewire.toml").write_text(f'[server]\nsecret = "{SECRET}"\n')
    port = free_port()
    environment = {**clean_environment(), "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - the command is made here
            [sys.executable, "-m", "uvicorn", "application:app", "--port", str(port)],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    yield process, port
    if process.poll() is None:
        process.kill()
        process.wait()


def ask(port: int, method: str, path: str, **request: Any) -> Any:
    with RawConnection(port) as connection:
        connection.send(request_bytes(method, path, **request))
        return connection.answer()


@pytest.mark.slow
def test_a_signal_does_not_wait_for_polls_and_answers_are_those_of_the_server(
    uvicorn_process: tuple[subprocess.Popen[bytes], int], server: ServerProcess
) -> None:
    process, port = uvicorn_process

    def is_ready() -> bool:
        try:
            return bool(ask(port, "GET", "/health/ready").status == 200)
        except (OSError, Closed):
            return False

    eventually(is_ready, what="the application is ready")
    for method, path in (("GET", "/api/v1/users/me"), ("GET", "/api/v1/nothing"), ("PUT", "/api/v1/events")):
        ours = ask(port, method, path, headers=credentials("ada"))
        theirs = server.ask(method, path, headers=credentials("ada"))
        assert (ours.status, ours.body) == (theirs.status, theirs.body)
    queue_id = ask(port, "POST", "/api/v1/register", form={}, headers=credentials("ada")).json["queue_id"]
    with RawConnection(port) as connection:
        query = {"queue_id": queue_id, "last_event_id": -1}
        connection.send(request_bytes("GET", "/api/v1/events", query=query, headers=credentials("ada")))
        assert ask(port, "GET", "/health/live").status == 200
        process.send_signal(signal.SIGTERM)
        assert connection.answer().json["events"] == []
    process.wait(60)
