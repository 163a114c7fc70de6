"""A state directory that the disk has damaged: what is left is right, and what may have lost something says so.

Whatever is done to the files, each queue afterwards has everything that its client has not acknowledged, or it is
gone, and its client is told.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from support.core_rig import KeepingSlot, Poll, SetClock, spec
from support.events import notice
from support.server_process import ServerProcess
from support.simulated_files import Node, SimulatedFiles
from support.stores import begin
from support.waiting import eventually
from tidewire.core.errors import BadEventQueueId, StateError
from tidewire.core.ids import QueueId, UserId
from tidewire.core.notices.notice import decode_notice
from tidewire.core.shard import Shard
from tidewire.engine.engine import Engine, PollWaiter
from tidewire.engine.recovery import recover
from tidewire.replay.strict_reporter import RaisingReporter
from tidewire.storage.directory import DirectoryStore

USERS = range(1, 41)
PUBLISHED = 8


class Server:
    """An engine on simulated files."""

    def __init__(self, files: SimulatedFiles) -> None:
        self.files = files
        self.store = DirectoryStore(files, durability="process", segment_bytes=3000)
        shard: Shard[PollWaiter] = Shard()
        self.found = recover(self.store, shard, fingerprint="rules 1")
        made = iter(range(1, 1_000_000))
        self.engine = Engine(
            shard=shard,
            journal=begin(self.store),
            clock=SetClock(max(1000.0, shard.recorded_at)),
            reporter=RaisingReporter(),
            new_queue_id=lambda: f"queue {next(made)}",
            chance=lambda: 0.5,
            call_soon=lambda _: None,
        )
        if self.found.anything:
            self.engine.begin(
                resumed=self.found.resumed, upgraded=self.found.upgraded, damaged=self.found.damaged
            )

    def publish(self, number: int) -> None:
        """One event to everybody, and one to one."""
        for users in (USERS, [number % len(USERS) + 1]):
            event = {"type": "deploy", "number": number, "text": "x" * 30}
            self.engine.publish([decode_notice(notice(event, users))], KeepingSlot[int]())

    def read(self, user: int) -> list[dict[str, object]] | None:
        """What a user's queue holds; None when its client is told to register again."""
        slot = Poll()
        try:
            self.engine.poll(
                f"queue {user}", user_id=UserId(user), last_event_id=-1, block=False, waiter=slot
            )
        except BadEventQueueId:
            return None
        return slot.events


def lived() -> SimulatedFiles:
    """Half of what was published is in the snapshot, the other half in the records after it."""
    server = Server(SimulatedFiles())
    for user in USERS:
        server.engine.register(spec(user=user), KeepingSlot[QueueId]())
    for number in range(PUBLISHED // 2):
        server.publish(number)
    server.engine.final_snapshot()
    for number in range(PUBLISHED // 2, PUBLISHED):
        server.publish(number)
    return server.files.after_kill()


WHOLE = lived()
WANTED = [Server(WHOLE.after_kill()).read(user) for user in USERS]
SNAPSHOT = next(name for name in WHOLE.nodes if name.startswith("snapshot-"))
SEGMENTS = sorted(
    name for name in WHOLE.nodes if name.startswith("segment-") and len(WHOLE.nodes[name].content) > 500
)


def after(name: str, damage: Callable[[bytes], bytes]) -> tuple[Server, int]:
    """A server on the damaged files, and how many queues are left; what is left is whole."""
    files = WHOLE.after_kill()
    files.nodes[name] = Node(damage(files.nodes[name].content))
    server = Server(files)
    left = 0
    for user, wanted in zip(USERS, WANTED, strict=True):
        read = server.read(user)
        assert read is None or read == wanted, f"queue of {user} has silently lost something"
        left += read is not None
    return server, left


def flips(name: str, step: int) -> Iterator[int]:
    return iter(range(0, len(WHOLE.nodes[name].content), step))


def flipped(place: int, bit: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]


def test_a_flipped_bit_of_the_snapshot_costs_what_is_in_its_part_and_is_told() -> None:
    for place in flips(SNAPSHOT, 7):
        server, left = after(SNAPSHOT, flipped(place, place % 8))
        assert server.found.damage
        # The bodies of a few events are in all queues; a part of queues has sixteen.
        assert left in {0, len(USERS), len(USERS) - 16, len(USERS) - 8} or server.found.damaged
        assert server.found.lost_queues in {0, 8, 16}
        assert any(".damaged-" in kept for kept in server.files.nodes)


@pytest.mark.parametrize("name", SEGMENTS)
def test_a_flipped_bit_of_the_journal_loses_nothing_in_silence(name: str) -> None:
    for place in flips(name, 5):
        server, left = (
            after(name, flipped(place, place % 8)) if not _is_last_length(name, place) else (None, 0)
        )
        assert server is None or left in {0, len(USERS)}


def _is_last_length(name: str, place: int) -> bool:
    """A length of the last record that points beyond the file makes it one that was never written to its end."""
    return name == SEGMENTS[-1] and place >= len(WHOLE.nodes[name].content) - 400


def test_a_snapshot_cut_anywhere_keeps_what_is_before_the_cut() -> None:
    size = len(WHOLE.nodes[SNAPSHOT].content)
    kept = []
    for end in range(0, size, 97):
        try:
            _, left = after(SNAPSHOT, lambda content, end=end: content[:end])  # type: ignore[misc] # bound at once
        except StateError:  # neither copy of the first part is left, and it says so
            continue
        kept.append(left)
    assert max(kept) > 0


def test_holes_and_exchanged_and_doubled_blocks_lose_nothing_in_silence() -> None:
    chance = Random(14)
    for _ in range(150):
        size = len(WHOLE.nodes[SNAPSHOT].content)
        first, second = sorted(chance.sample(range(size // 64), 2))
        a, b = slice(first * 64, first * 64 + 64), slice(second * 64, second * 64 + 64)

        def exchange(content: bytes, a: slice = a, b: slice = b) -> bytes:
            return (
                content[: a.start] + content[b] + content[a.stop : b.start] + content[a] + content[b.stop :]
            )

        def hole(content: bytes, a: slice = a, b: slice = b) -> bytes:
            return content[: a.start] + bytes(b.stop - a.start) + content[b.stop :]

        def double(content: bytes, a: slice = a, b: slice = b) -> bytes:
            return content[: b.start] + content[a] + content[b.stop :]

        for damage in (exchange, hole, double):
            # Neither copy of the first part may be left; then it refuses with a sentence.
            with contextlib.suppress(StateError):
                after(SNAPSHOT, damage)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["segment-00000900", "snapshot-000000000900"])
@pytest.mark.parametrize("kind", ["pipe", "directory", "loop"])
def test_what_is_no_file_stops_the_start_with_a_sentence_and_holds_nobody_up(
    tmp_path: Path, name: str, kind: str
) -> None:
    server = ServerProcess(tmp_path)
    state = server.state
    state.mkdir(mode=0o700, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(state / name)
    elif kind == "directory":
        (state / name).mkdir()
    else:
        (state / name).symlink_to(name)
    server.launch()
    try:
        assert server.wait() == 1
        assert name in server.log
    finally:
        server.destroy()


@pytest.mark.slow
def test_a_hangup_in_the_first_moments_does_not_end_a_server(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    server.launch()
    try:
        eventually(lambda: _takes_hangup(server), what="it takes the signal")
        server.signal(signal.SIGHUP)
        eventually(server._is_ready, what="the server is ready")
        assert server.stop() == 0
    finally:
        server.destroy()


def _takes_hangup(server: ServerProcess) -> bool:
    assert server._process is not None
    status = Path(f"/proc/{server._process.pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGHUP - 1) & 1)
