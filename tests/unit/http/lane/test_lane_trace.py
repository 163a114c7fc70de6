"""The way of a notice through the server, call by call.

From the bytes of a publish request on a remembered connection to the answer of the poll that waits for its event, and on
to that client's next poll. How many steps a reader has to follow is a quality that no other test would miss.
"""

import io
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import tidewire
from support.broken_requests import notices, poll
from support.lane_pair import HEADERS, MemoryTransport
from support.server_process import USER_IDS
from support.site import LocalSite, StrictReporter, local_site
from tidewire.core.shard import Shard
from tidewire.core.state.limits import Limits
from tidewire.engine.engine import Engine, PollWaiter
from tidewire.http.lane.connection import LaneConnection
from tidewire.http.lane.peer_limits import Bounds
from tidewire.http.lane.shared import Lane
from tidewire.observability.log import build_log
from tidewire.observability.request_lines import RequestLines
from tidewire.ports.engine import Origin
from tidewire.storage.directory import DirectoryStore
from tidewire.storage.files import DirectoryFiles

SOURCE = f"{Path(tidewire.__file__).parent}/"

COMPREHENSIONS = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>"})

MOST_CALLS = 144
"""What the way takes now; may fall, and rises only for a reason."""

MOST_MODULES = 47
"""Likewise."""

NOTICE = notices(b'{"event":{"type":"custom","text":"hello"},"users":[%d]}' % USER_IDS["ada"])


class Trace:
    """Calls of the project's own functions while it records.

    A generator counts each time it goes on. Comprehensions don't count: newer interpreters no longer call them.
    """

    def __init__(self) -> None:
        self.calls: list[CodeType] = []
        self._lines: list[str] = []
        self._depth = 0

    @contextmanager
    def recording(self, title: str) -> Iterator[None]:
        """Records what is called meanwhile, under a title."""
        self._lines.append(f"-- {title}")
        self._depth = 0
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if not code.co_filename.startswith(SOURCE) or code.co_name in COMPREHENSIONS:
            return
        if event == "call":
            self.calls.append(code)
            place = code.co_filename.removeprefix(SOURCE)
            self._lines.append(f"{'  ' * self._depth}{code.co_qualname} ({place}:{code.co_firstlineno})")
            self._depth += 1
        elif event == "return":
            self._depth = max(0, self._depth - 1)

    @property
    def functions(self) -> int:
        """How many different ones there are."""
        return len(set(self.calls))

    @property
    def modules(self) -> int:
        """In how many modules they stand."""
        return len({code.co_filename for code in self.calls})

    def __str__(self) -> str:
        totals = f"{len(self.calls)} calls of {self.functions} functions in {self.modules} modules"
        return "\n".join([*self._lines, totals])


async def _site(folder: Path, soon: deque[Callable[[], None]]) -> LocalSite:
    """A site with a journal on disk and the console's log, as a server has them."""
    site = local_site(folder)
    store = DirectoryStore(DirectoryFiles(folder / "state"), durability="process")
    store.recover()
    shard: Shard[PollWaiter] = Shard(limits=Limits())
    engine = Engine(
        shard=shard,
        journal=store.journal(origin=Origin("test", b""), on_durable=lambda: None, on_failed=lambda _: None),
        clock=site.clock,
        reporter=StrictReporter(),
        new_queue_id=lambda: "queue-0",
        chance=lambda: 0.5,
        call_soon=soon.append,
    )
    stream = io.StringIO()
    lines = RequestLines(form="console", stream=stream, call_soon=soon.append)
    log = build_log(form="console", level="info", stream=stream)
    changed = site.changed(
        engine=engine, log=log, lines=lines, log_control=None, now=time.time, timer=time.perf_counter
    )
    await changed.register("ada")
    return changed


def _poll(acknowledged: int) -> bytes:
    return poll(b"queue_id=queue-0&last_event_id=%d" % acknowledged)


async def test_the_way_of_a_notice_is_short(tmp_path: Path) -> None:
    soon: deque[Callable[[], None]] = deque()
    site = await _site(tmp_path, soon)
    lane = Lane(
        site.context,
        bounds=Bounds(),
        application=site.app,
        start=_nobody,
        default_headers=lambda: HEADERS,
        connections=set(),
        call_soon=soon.append,
        now=0.0,
    )

    def connect() -> tuple[LaneConnection, MemoryTransport]:
        connection, transport = LaneConnection(lane), MemoryTransport()
        connection.connection_made(transport)
        return connection, transport

    def turn() -> None:
        while soon:
            soon.popleft()()

    client, answers = connect()
    publisher, confirmations = connect()
    # Once for what is remembered of both, and once more for what the first repetition puts together.
    client.data_received(_poll(-1))
    for event_id in range(2):
        publisher.data_received(NOTICE)
        turn()
        client.data_received(_poll(event_id))
        turn()
    assert (answers.taken().count(b" 200 OK"), confirmations.taken().count(b" 200 OK")) == (2, 2)

    trace = Trace()
    with trace.recording("a notice comes"):
        publisher.data_received(NOTICE)
    with trace.recording("later in the same turn"):
        turn()
    with trace.recording("the client comes back"):
        client.data_received(_poll(2))

    assert (answers.taken().count(b'"text":"hello"'), confirmations.taken().count(b" 200 OK")) == (1, 1)
    assert lane.statistics.repolls == 3
    descriptor = site.engine.shard.find("queue-0")
    assert descriptor is not None
    assert descriptor.waiter is client
    assert len(trace.calls) <= MOST_CALLS, f"\n{trace}"
    assert trace.modules <= MOST_MODULES, f"\n{trace}"


def _nobody(*_: Any) -> Any:
    raise AssertionError("every request is for the lane")
