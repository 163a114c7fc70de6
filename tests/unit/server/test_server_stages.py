"""The stages of a server's shutdown: their order, and what holds at each (R9.15, D5)."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.core_rig import KeepingSlot, spec
from support.server_process import USER_IDS, users_file
from tidewire.app.build import App
from tidewire.config import Settings, load
from tidewire.core.errors import StartCancelled, StateError
from tidewire.core.ids import QueueId, UserId
from tidewire.core.state.state import Batch
from tidewire.observability.log import build_log
from tidewire.ports.bus import Embedded
from tidewire.ports.storage import Journal, StateStore
from tidewire.server import server as life_cycle
from tidewire.server.endpoint import Endpoint, Mounted
from tidewire.server.server import Server
from tidewire.storage.directory import DirectoryStore, open_directory
from tidewire.storage.journal import NullJournal

ADA = UserId(USER_IDS["ada"])


class Broken(Exception):
    """What goes wrong in a test."""


@dataclass
class Scene:
    """A server whose bus and endpoint write down when they are called, and what is true then."""

    settings: Settings
    calls: list[str] = field(default_factory=list)
    log: io.StringIO = field(default_factory=io.StringIO)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    app: App | None = None
    fails_at: str = ""

    def note(self, call: str) -> None:
        """Writes a call down, with what of the shutdown is done by then."""
        app = self.app
        done = []
        if app is not None:
            done += ["refusing"] if app.lifecycle.stopping else []
            done += ["free"] if self.is_free() else []
            done += ["parked"] if app.engine.waiting() else []
        self.calls.append(" ".join([call, *done]))
        if call == self.fails_at:
            raise Broken(call)

    def is_free(self) -> bool:
        """Whether another process could take the state."""
        try:
            open_directory(self.settings.storage.directory, durability="none").close()
        except StateError:
            return False
        return True

    def server(self) -> Server:
        """The server of the scene; it lets go with a note."""

        def listen(app: App) -> Endpoint:
            self.app = app
            return FakeEndpoint(self)

        log = build_log(form="json", level="info", stream=self.log)
        return Server(
            self.settings, log, listen=listen, stop=self.stop, on_let_go=lambda: self.note("let go")
        )

    def park(self) -> KeepingSlot[Batch]:
        """A poll that waits."""
        assert self.app is not None
        rights = self.app.authenticator.rights(ADA)
        registered, waiter = KeepingSlot[QueueId](), KeepingSlot[Batch]()
        self.app.engine.register(msgspec.structs.replace(spec(ADA), rights=rights), registered)
        self.app.engine.poll(registered.answer, user_id=ADA, last_event_id=-1, block=True, waiter=waiter)
        assert self.app.engine.waiting()
        return waiter

    @property
    def logged(self) -> list[str]:
        """What was logged, in order."""
        return [json.loads(line)["event"] for line in self.log.getvalue().splitlines()]


class FakeEndpoint(Mounted):
    """Notes what is asked of it."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    async def open(self) -> None:
        """Opens nothing."""
        self._scene.note("open")

    async def until(self, event: Coroutine[Any, Any, object]) -> None:
        """Waits, unless it is to fail."""
        with contextlib.closing(event):
            self._scene.note("until")
            await event

    def stop_accepting(self) -> None:
        """Lets nobody in."""
        self._scene.note("stop accepting")

    async def close(self) -> None:
        """Closes nothing."""
        self._scene.note("close connections")


class FakeBus(Embedded):
    """Notes what is asked of it."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def start(self) -> None:
        """Begins nothing."""
        self._scene.note("start consuming")

    async def stop_consuming(self) -> None:
        """Stops nothing."""
        self._scene.note("stop consuming")

    async def close(self) -> None:
        """Ends nothing."""
        self._scene.note("close bus")


async def whole_life(scene: Scene, *, until_stopped: bool = True) -> None:
    """Starts a server, parks a poll, and ends the server: with a signal, or when it wants to end itself."""
    server = scene.server()
    async with server.running():
        scene.park()
        if until_stopped:
            scene.stop.set()
        await asyncio.wait_for(server.main_loop(), 20)


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    users = tmp_path / "users.toml"
    users.write_text(users_file("ada"))
    overrides = [f"auth.users_file={users}", f"storage.directory={tmp_path / 'state'}"]
    scene = Scene(load(file=None, environ={}, overrides=overrides))
    monkeypatch.setattr(life_cycle, "open_bus", lambda *_, **__: FakeBus(scene))
    monkeypatch.setattr(life_cycle, "RELEASE_SPREAD", 0.0)
    yield scene
    assert scene.is_free()


async def test_the_stages_come_in_the_order_in_which_nothing_is_lost(scene: Scene) -> None:
    async with scene.server().running():
        poll = scene.park()
        scene.stop.set()
        server_calls = len(scene.calls)
        assert scene.calls == ["open"]
    assert scene.calls[server_calls:] == [
        "stop consuming parked",
        "stop accepting refusing parked",
        "close bus refusing parked",
        "let go refusing free parked",
        "close connections refusing free",
    ]
    assert len(poll.answer.entries) == 0
    assert scene.logged[-2:] == ["snapshot kept", "stopped"]


async def test_the_main_loop_starts_the_bus_ticks_and_ends_when_it_is_told_to(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life_cycle, "TICK", 0.0)
    server = scene.server()
    async with server.running() as app:
        ticked = asyncio.Event()
        monkeypatch.setattr(app.site.sessions, "sweep", ticked.set)
        serving = asyncio.create_task(server.main_loop())
        await asyncio.wait_for(ticked.wait(), 20)
        assert not serving.done()
        scene.stop.set()
        await asyncio.wait_for(serving, 20)
    assert scene.calls[:3] == ["open", "start consuming", "until"]


async def test_a_tick_that_fails_does_not_end_the_ticking(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life_cycle, "TICK", 0.0)
    server = scene.server()
    async with server.running() as app:
        ticks = 0

        def sweep() -> None:
            nonlocal ticks
            ticks += 1
            if ticks == 1:
                raise Broken
            scene.stop.set()

        monkeypatch.setattr(app.site.sessions, "sweep", sweep)
        await asyncio.wait_for(server.main_loop(), 20)
    assert scene.logged.count("tick failed") == 1


async def test_a_mounted_server_may_drain_first_and_its_bus_is_stopped_once(scene: Scene) -> None:
    server = scene.server()
    async with server.running():
        poll = scene.park()
        await server.drain()
        assert scene.calls == ["open", "stop consuming parked"]
        assert len(poll.answer.entries) == 0
        assert not scene.is_free()
    assert scene.calls[2:] == [
        "stop accepting refusing",
        "close bus refusing",
        "let go refusing free",
        "close connections refusing free",
    ]


@pytest.mark.parametrize("at", ["until", "stop consuming", "stop accepting", "close bus"])
async def test_whatever_fails_the_state_is_kept_and_nobody_is_told_to_take_over(
    scene: Scene, at: str
) -> None:
    scene.fails_at = at
    with pytest.raises(Broken):
        await whole_life(scene)
    assert "snapshot kept" in scene.logged
    assert "stopped" not in scene.logged
    assert [call for call in scene.calls if call.startswith("let go")] == []
    scene.fails_at = ""
    scene.stop.clear()
    async with scene.server().running() as app:
        assert app.comeback.queues == 1


async def test_an_endpoint_that_does_not_open_ends_the_start(scene: Scene) -> None:
    scene.fails_at = "open"
    with pytest.raises(Broken):
        await scene.server().startup()
    assert scene.calls == ["open", "close bus"]


async def test_a_start_can_be_given_up_while_nothing_is_changed(scene: Scene) -> None:
    async with scene.server().running():
        scene.park()
    scene.stop.set()
    with pytest.raises(StartCancelled):
        await scene.server().startup()


async def test_after_a_failure_of_the_disk_no_snapshot_replaces_what_is_there(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_store: StateStore, *, on_failed: Callable[[Exception], None], **_: object) -> Journal:
        asyncio.get_running_loop().call_soon(on_failed, OSError("no space"))
        return NullJournal()

    monkeypatch.setattr(DirectoryStore, "journal", failing)
    with pytest.raises(StateError, match="durable: no space"):
        await whole_life(scene, until_stopped=False)
    assert "snapshot kept" not in scene.logged
    assert scene.calls[-1] == "close connections refusing free"
