"""A state directory against a plain list of what was appended, with crashes, cuts of power and full disks between."""

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from support.simulated_files import SimulatedFiles
from support.stores import Running, numbered
from tidewire.core.errors import Unavailable
from tidewire.ports.storage import SnapshotDraft
from tidewire.storage.directory import Durability

SIZES = st.integers(0, 400)
CHANCES = st.randoms(use_true_random=False)


class StoreMachine(RuleBasedStateMachine):
    """One directory over several processes. Records carry a number that is never used twice."""

    durability: Durability = "process"

    def __init__(self) -> None:
        super().__init__()
        self.next_number = 1
        self.history: list[int] = []
        """The number of each record by position, as far as they were promised or can be there."""
        self.draft: SnapshotDraft | None = None
        self.running = Running(SimulatedFiles(), self.durability)

    # What a server does.

    @rule(sizes=st.lists(SIZES, min_size=1, max_size=8))
    def append(self, sizes: list[int]) -> None:
        """Appends some records; a disk without room refuses some."""
        for size in sizes:
            number = self.next_number
            self.next_number += 1
            try:
                position = self.running.journal.append(numbered(number, size))
            except Unavailable:
                assert self.running.files.room is not None
                continue
            assert position == len(self.history) + 1
            self.history.append(number)

    @precondition(lambda self: self.draft is None)
    @rule()
    def begin_snapshot(self) -> None:
        """Begins a snapshot."""
        try:
            self.draft = self.running.journal.begin_snapshot()
        except Unavailable:
            assert self.running.files.room is not None

    @precondition(lambda self: self.draft is not None)
    @rule(size=SIZES)
    def write(self, size: int) -> None:
        """Writes a frame that shows the newest record."""
        assert self.draft is not None
        try:
            self.draft.write(b"%d " % len(self.history) + b"." * size)
        except Unavailable:
            assert self.running.files.room is not None
            self.draft = None

    @precondition(lambda self: self.draft is not None)
    @rule(whole=st.booleans())
    def end_snapshot(self, *, whole: bool) -> None:
        """Commits or abandons."""
        assert self.draft is not None
        try:
            self.draft.commit() if whole else self.draft.abandon()
        except Unavailable:
            assert self.running.files.room is not None
        self.draft = None

    @precondition(lambda self: self.durability == "power")
    @rule()
    def flush(self) -> None:
        """What the syncer's thread does."""
        self.running.flush()

    # What happens to it.

    @rule(room=st.integers(0, 1500))
    def fill_up(self, room: int) -> None:
        """The disk has so much room left."""
        self.running.files.room = room

    @rule()
    def make_room(self) -> None:
        """The disk has room, and the next record is taken."""
        self.running.files.room = None
        self.append([10])

    @rule(clean=st.booleans())
    def restart(self, *, clean: bool) -> None:
        """The process ends; everything appended is there."""
        if clean:
            self.running.store.close()
        self._go_on(self.running.files.after_kill(), least=len(self.history))

    @precondition(lambda self: self.durability == "power")
    @rule(chance=CHANCES)
    def cut_power(self, chance: Random) -> None:
        """The machine ends; everything durable is there, and nothing behind a gap."""
        files = self.running.files.after_power_cut(chance)
        self._go_on(files, least=self.running.journal.durable)

    def _go_on(self, files: SimulatedFiles, *, least: int) -> None:
        # Room for the file that says the version, without which a new directory is refused.
        files.room = None
        self.draft = None
        self.running = Running(files, self.durability)
        left = self.running.left
        assert least <= left.reached <= len(self.history)
        assert left.records == list(enumerate(self.history, 1))[left.position : left.reached]
        assert all(left.position <= int(frame.split()[0]) <= left.reached for frame in left.frames)
        self.history = self.history[: left.reached]

    @invariant()
    def durable_is_true(self) -> None:
        """`durable` is never ahead of what was appended."""
        assert self.running.journal.durable <= len(self.history)
        assert not self.running.failures


class PowerMachine(StoreMachine):
    """The same, with losses of power."""

    durability: Durability = "power"


TestAgainstKills = StoreMachine.TestCase
TestAgainstLossOfPower = PowerMachine.TestCase
TestAgainstKills.settings = TestAgainstLossOfPower.settings = settings(
    max_examples=50, stateful_step_count=30, deadline=None
)
