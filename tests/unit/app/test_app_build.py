"""The composition root: what its parts have in common."""

import contextlib
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from support.core_rig import KeepingSlot, spec
from support.server_process import USER_IDS, users_file
from tidewire.app.build import App, Turns, build
from tidewire.config import load
from tidewire.core.events.encoding import encode_answer
from tidewire.core.ids import QueueId, UserId
from tidewire.core.state.state import Batch
from tidewire.engine.timing import run_inline
from tidewire.observability.log import LogReporter, build_log
from tidewire.ports.storage import StateStore
from tidewire.server.takeover import take_over
from tidewire.storage.directory import open_directory


def call(function: Callable[[], None]) -> None:
    function()


def fail(error: Exception) -> None:
    raise error


def built(folder: Path, store: StateStore) -> App:
    """A server's parts, with its state brought back, and no loop."""
    users = folder / "users.toml"
    users.write_text(users_file("ada"))
    overrides = [f"auth.users_file={users}", f"storage.directory={folder / 'state'}"]
    log = build_log(form="json", level="error")
    turns = Turns(call_soon=call, from_thread=call, aside=run_inline, give_up=fail)
    settings = load(file=None, environ={}, overrides=overrides)
    return build(settings, store=store, reporter=LogReporter(log), log=log, turns=turns)


def test_queues_of_before_and_queues_of_a_dump_hear_of_the_same_generation_r1_23(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered = KeepingSlot[QueueId]()
    user = UserId(USER_IDS["ada"])
    with contextlib.closing(open_directory(tmp_path / "state", durability="process")) as store:
        app = built(tmp_path, store)
        rights = app.authenticator.rights(user)
        app.engine.register(msgspec.structs.replace(spec(user), rights=rights), registered)
        app.engine.final_snapshot()
    # Each look at the time is in another second.
    seconds = itertools.count(int(time.time()) + 10.0)
    monkeypatch.setattr(
        "tidewire.app.build.time", SimpleNamespace(time=lambda: next(seconds), monotonic=time.monotonic)
    )
    with contextlib.closing(open_directory(tmp_path / "state", durability="process")) as store:
        app = built(tmp_path, store)
        take_over(app, log=build_log(form="json", level="error"))
        slot = KeepingSlot[Batch]()
        app.engine.poll(registered.answers[0], user_id=user, last_event_id=-1, block=False, waiter=slot)
        (batch,) = slot.answers
        (told,) = json.loads(encode_answer(batch.queue_id, batch.entries))["events"]
        assert app.site.restart == {key: value for key, value in told.items() if key != "id"}
