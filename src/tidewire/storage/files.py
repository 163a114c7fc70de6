"""The few things that storage does with files, as a port, and their real implementation.

Storage reaches the disk through nothing else, so that tests can stop it between any two steps, cut the power,
and fill the disk.
"""

import errno
import fcntl
import os
from pathlib import Path
from typing import IO, Protocol

from tidewire.core.errors import StateError


class File(Protocol):
    """A file that is being written, at its end only. Each method raises OSError when it fails."""

    def append(self, data: bytes | memoryview) -> int:
        """Writes with one system call and returns how many bytes were taken."""
        ...

    def truncate(self, size: int) -> None:
        """Cuts it to `size` bytes."""
        ...

    def sync(self) -> None:
        """Waits until its content is on the disk (fdatasync)."""
        ...

    def close(self) -> None:
        """Closes it."""
        ...


class Files(Protocol):
    """The files of one directory, by name. Each method raises OSError when it fails."""

    @property
    def place(self) -> str:
        """What to call the directory in a sentence."""
        ...

    def lock(self) -> None:
        """Takes the directory for this process; BlockingIOError when another has it."""
        ...

    def unlock(self) -> None:
        """Gives it back."""
        ...

    def names(self) -> list[str]:
        """The names of all files."""
        ...

    def size(self, name: str) -> int:
        """The size of a file in bytes."""
        ...

    def read(self, name: str) -> IO[bytes]:
        """Opens a file for reading."""
        ...

    def create(self, name: str) -> File:
        """Makes a new file, readable by its owner only, for it holds messages."""
        ...

    def sync(self, name: str) -> None:
        """Waits until a file's content is on the disk, whoever wrote it."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Gives a file another name, in place of the file that has it."""
        ...

    def link(self, name: str, other: str) -> None:
        """Gives a file a second name."""
        ...

    def unlink(self, name: str) -> None:
        """Removes a name."""
        ...

    def sync_directory(self) -> None:
        """Waits until the names themselves are on the disk."""
        ...


class OpenFile:
    """A `File` by its descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def append(self, data: bytes | memoryview) -> int:
        """Writes at the end, wherever another write or a cut has left it (O_APPEND)."""
        return os.write(self._descriptor, data)

    def truncate(self, size: int) -> None:
        """Cuts it."""
        os.ftruncate(self._descriptor, size)

    def sync(self) -> None:
        """Waits for the disk."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Closes it; a second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class DirectoryFiles:
    """The `Files` of a real directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock: int | None = None

    @property
    def place(self) -> str:
        """The path."""
        return str(self._directory)

    def lock(self) -> None:
        """Makes the directory if it is not there, and locks the file `lock` in it.

        Raises:
            BlockingIOError: another process has it.
            PermissionError: nothing new could be put in the directory.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self._directory / "lock", flags, 0o600)
        try:
            # The lock of an earlier process can be opened, too, where no segment could be made.
            if not os.access(self._directory, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), self.place)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        self._lock = descriptor

    def unlock(self) -> None:
        """Closes the lock file, which gives the lock back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def names(self) -> list[str]:
        """The names, in no order."""
        return os.listdir(self._directory)  # noqa: PTH208 - names are wanted, not paths

    def size(self, name: str) -> int:
        """The size."""
        return (self._directory / name).stat().st_size

    def read(self, name: str) -> IO[bytes]:
        """Opens for reading."""
        return (self._directory / name).open("rb")

    def create(self, name: str) -> File:
        """Makes it new, never over an old one."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        return OpenFile(os.open(self._directory / name, flags, 0o600))

    def sync(self, name: str) -> None:
        """Flushes through a descriptor of its own, which reaches what others wrote as well."""
        self._flush(self._directory / name)

    def rename(self, old: str, new: str) -> None:
        """Renames."""
        (self._directory / old).replace(self._directory / new)

    def link(self, name: str, other: str) -> None:
        """Links; FileExistsError when the name is taken."""
        (self._directory / other).hardlink_to(self._directory / name)

    def unlink(self, name: str) -> None:
        """Removes."""
        (self._directory / name).unlink()

    def sync_directory(self) -> None:
        """Flushes the directory."""
        self._flush(self._directory)

    def _flush(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_whole(file: File, data: bytes) -> None:
    """Writes with as many system calls as it takes."""
    view = memoryview(data)
    while view:
        view = view[file.append(view) :]


def unusable(place: str, error: OSError) -> StateError:
    """A directory that can't be read or written at a start."""
    return StateError(f"{place} can't be used as the state directory: {error.strerror}")


def unlink_quietly(files: Files, name: str) -> None:
    """Removes what is in the way of nothing; what stays is removed another time."""
    try:
        files.unlink(name)
    except OSError:
        return
