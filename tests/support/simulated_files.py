"""A directory in memory that remembers what was flushed, to be stopped, filled up, and left without power.

`Killed` is raised at the chosen call, as if the process ended there: every later call raises it again. The
directory then has two futures: `after_kill`, with all that was written, and `after_power_cut`, with what was
flushed and an arbitrary part of the rest.
"""

import errno
import io
import os
from collections.abc import Callable
from random import Random
from typing import IO, TypeAlias

Fault: TypeAlias = Callable[[str], None]
"""Told the name of each call before it has its effect; may raise OSError or `Killed`."""


class Killed(BaseException):
    """The process ends here; no handler of errors may catch it."""


class Node:
    """A file's content, apart from its names."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = content
        self.flushed = content

    def after_power_cut(self, chance: Random) -> bytes:
        """What was flushed, then some of what was not: cut anywhere, its end perhaps zeros or noise."""
        kept = _common_start(self.flushed, self.content)
        if self.flushed != kept and chance.random() < 0.5:
            return self.flushed  # the cut of something that had been flushed did not get to the disk
        rest = self.content[len(kept) :]
        rest = rest[: chance.choice([0, len(rest), chance.randint(0, len(rest))])]
        written = chance.choice([len(rest), chance.randint(0, len(rest))])
        missing = len(rest) - written
        filler = chance.choice([bytes(missing), chance.randbytes(missing)])
        return kept + rest[:written] + filler


class SimulatedFile:
    """A `File`."""

    def __init__(self, files: "SimulatedFiles", node: Node) -> None:
        self._files = files
        self._node = node
        self.closed = False

    def append(self, data: bytes | memoryview) -> int:
        """Appends, or only a part when the room ends."""
        taken = bytes(data)
        try:
            self._files.call("append")
        except Killed:
            self._node.content += taken[: self._files.torn(len(taken))]
            raise
        room = self._files.room
        if room is not None:
            if not room:
                raise OSError(errno.ENOSPC, "No space left on device")
            taken = taken[:room]
            self._files.room = room - len(taken)
        self._node.content += taken
        return len(taken)

    def truncate(self, size: int) -> None:
        """Cuts."""
        self._files.call("truncate")
        if self._files.room is not None:
            self._files.room += len(self._node.content) - size
        self._node.content = self._node.content[:size]

    def sync(self) -> None:
        """Flushes the content."""
        self._files.call("sync")
        self._node.flushed = self._node.content

    def close(self) -> None:
        """Closes."""
        self.closed = True


class SimulatedFiles:
    """A `Files`."""

    def __init__(
        self, *, fault: Fault | None = None, torn: Callable[[int], int] = lambda size: size // 2
    ) -> None:
        self.nodes: dict[str, Node] = {}
        self.flushed_nodes: dict[str, Node] = {}
        self.unflushed: list[Change] = []
        self.fault = fault
        self.torn = torn
        self.room: int | None = None
        self.calls: list[str] = []
        self.locked = False
        self.dead = False
        self.opened: list[SimulatedFile] = []
        self.run = 1
        """Of the machine: another one after each loss of power."""

    # The two futures.

    def after_kill(self) -> "SimulatedFiles":
        """Everything that was written, as a new process finds it; what was not flushed still isn't."""
        after = SimulatedFiles()
        copies = Copies()
        after.nodes = {name: copies.of(node) for name, node in self.nodes.items()}
        after.flushed_nodes = {name: copies.of(node) for name, node in self.flushed_nodes.items()}
        after.unflushed = [change.with_copies(copies) for change in self.unflushed]
        after.run = self.run
        return after

    def after_power_cut(self, chance: Random) -> "SimulatedFiles":
        """Flushed content under flushed names, and any of the changes since."""
        names = dict(self.flushed_nodes)
        for change in self.unflushed:
            if chance.random() < 0.5:
                change(names)
        after = SimulatedFiles()
        contents = {node: Node(node.after_power_cut(chance)) for node in names.values()}
        after.nodes = {name: contents[node] for name, node in names.items()}
        after.flushed_nodes = dict(after.nodes)
        after.run = self.run + 1
        return after

    # The port.

    place = "the state directory"

    @property
    def boot(self) -> str:
        """Which run of the machine it is."""
        return f"run {self.run}"

    def drop_cached(self, name: str) -> None:
        """Nothing is cached."""
        self._node(name)

    def call(self, name: str) -> None:
        """Counts a call and lets it fail."""
        if self.dead:
            raise Killed
        self.calls.append(name)
        if self.fault is not None:
            try:
                self.fault(name)
            except Killed:
                self.dead = True
                raise

    def lock(self) -> None:
        """Locks."""
        if self.locked:
            raise BlockingIOError
        self.locked = True

    def unlock(self) -> None:
        """Unlocks."""
        self.locked = False

    def names(self) -> list[str]:
        """The names."""
        self.call("names")
        return list(self.nodes)

    def size(self, name: str) -> int:
        """The size."""
        return len(self._node(name).content)

    def read(self, name: str) -> IO[bytes]:
        """Opens for reading."""
        self.call("read")
        return io.BytesIO(self._node(name).content)

    def create(self, name: str) -> SimulatedFile:
        """Makes a new file."""
        self.call("create")
        if name in self.nodes:
            raise FileExistsError(errno.EEXIST, "File exists")
        node = Node()
        self._change(Change(None, name, node))
        file = SimulatedFile(self, node)
        self.opened.append(file)
        return file

    def sync(self, name: str) -> None:
        """Flushes a file's content."""
        self.call("sync")
        node = self._node(name)
        node.flushed = node.content

    def rename(self, old: str, new: str) -> None:
        """Renames."""
        self.call("rename")
        self._change(Change(old, new, self._node(old)))

    def link(self, name: str, other: str) -> None:
        """Links."""
        self.call("link")
        self._change(Change(None, other, self._node(name)))

    def unlink(self, name: str) -> None:
        """Removes a name."""
        self.call("unlink")
        self._node(name)
        self._change(Change(name, None, None))

    def sync_directory(self) -> None:
        """Flushes the names."""
        self.call("sync_directory")
        self.flushed_nodes = dict(self.nodes)
        self.unflushed = []

    def _node(self, name: str) -> Node:
        if name not in self.nodes:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        return self.nodes[name]

    def _change(self, change: "Change") -> None:
        change(self.nodes)
        self.unflushed.append(change)


class Change:
    """A change of names that may or may not get to the disk."""

    def __init__(self, removed: str | None, entered: str | None, node: Node | None) -> None:
        self.removed = removed
        self.entered = entered
        self.node = node

    def __call__(self, names: dict[str, Node]) -> None:
        """Makes the change."""
        if self.removed is not None:
            names.pop(self.removed, None)
        if self.entered is not None and self.node is not None:
            names[self.entered] = self.node

    def with_copies(self, copies: "Copies") -> "Change":
        """The same change, of copied files."""
        return Change(self.removed, self.entered, None if self.node is None else copies.of(self.node))


def _common_start(one: bytes, other: bytes) -> bytes:
    if other.startswith(one):
        return one
    size = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        size += 1
    return one[:size]


class Copies:
    """A copy of each file, however many names it has."""

    def __init__(self) -> None:
        self._made: dict[Node, Node] = {}

    def of(self, node: Node) -> Node:
        """The file's one copy."""
        if node not in self._made:
            self._made[node] = Node(node.content)
            self._made[node].flushed = node.flushed
        return self._made[node]


def killed_at(number: int) -> Fault:
    """Ends the process at a call, counted from 0."""
    return _counting(number, Killed())


def failing_at(number: int, error: int) -> Fault:
    """Fails one call, counted from 0."""
    return _counting(number, OSError(error, os.strerror(error)))


def _counting(number: int, error: BaseException) -> Fault:
    left = [number]

    def fault(_name: str) -> None:
        left[0] -= 1
        if left[0] == -1:
            raise error

    return fault
