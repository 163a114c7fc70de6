"""The few operations on files that storage needs, as a Protocol with its real implementation, and advice when the disk fails."""

import errno
import fcntl
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Protocol

from tidewire.core.errors import StateError, Unavailable

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Where Linux says in which run of the machine we are."""


_KINDS: Mapping[int, str] = MappingProxyType(
    {
        stat.S_IFIFO: "a named pipe",
        stat.S_IFDIR: "a directory",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
)


class NotRegularError(OSError):
    """Something that is no regular file has the name of one; reading it might never end."""

    def __init__(self, path: str, mode: int) -> None:
        kind = _KINDS.get(stat.S_IFMT(mode), "no regular file")
        super().__init__(errno.EINVAL, f"{Path(path).name} is {kind}, not a file: move it away", path)


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
        """Closes the file."""
        ...


class Files(Protocol):
    """The files of one directory, by name. Each method raises OSError when it fails."""

    @property
    def place(self) -> str:
        """What to call the directory in a sentence."""
        ...

    @property
    def boot(self) -> str:
        """A text that differs after the machine has been started again; empty when that can't be told."""
        ...

    def lock(self) -> None:
        """Takes the directory for this process; BlockingIOError when another has it."""
        ...

    def unlock(self) -> None:
        """Releases the lock."""
        ...

    def names(self) -> list[str]:
        """The names of all files."""
        ...

    def size(self, name: str) -> int:
        """The size of a file in bytes."""
        ...

    def read(self, name: str) -> IO[bytes]:
        """Opens a regular file for reading, without waiting; NotRegularError when it is something else."""
        ...

    def drop_cached(self, name: str) -> None:
        """Has the next reading of a flushed file come from the disk and not from memory, where that can be had."""
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
        """Cuts the file to a length in bytes."""
        os.ftruncate(self._descriptor, size)

    def sync(self) -> None:
        """Waits until the file is on the disk."""
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
        """The directory's path."""
        return str(self._directory)

    @property
    def boot(self) -> str:
        """The kernel's id of this run."""
        try:
            return BOOT_ID.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def lock(self) -> None:
        """Makes the directory if it is not there, and locks the file `lock` in it.

        Raises:
            BlockingIOError: another process has it.
            PermissionError: nothing new could be put in the directory.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
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
        """How many bytes the file has."""
        return (self._directory / name).stat().st_size

    def read(self, name: str) -> IO[bytes]:
        """Opens for reading. A pipe without a writer would hold up whoever opens it, and a device whoever reads it."""
        return os.fdopen(self._open(self._directory / name), "rb")

    def drop_cached(self, name: str) -> None:
        """Tells the kernel that its copy is not wanted; what was not flushed stays."""
        descriptor = self._open(self._directory / name)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)

    def create(self, name: str) -> File:
        """Makes it new, never over an old one."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        return OpenFile(os.open(self._directory / name, flags, 0o600))

    def sync(self, name: str) -> None:
        """Flushes through a descriptor of its own, which reaches what others wrote as well."""
        self._flush(self._open(self._directory / name))

    def rename(self, old: str, new: str) -> None:
        """Renames a file, replacing one of the new name."""
        (self._directory / old).replace(self._directory / new)

    def link(self, name: str, other: str) -> None:
        """Links; FileExistsError when the name is taken."""
        (self._directory / other).hardlink_to(self._directory / name)

    def unlink(self, name: str) -> None:
        """Removes a file."""
        (self._directory / name).unlink()

    def sync_directory(self) -> None:
        """Waits until the directory's entries are on the disk."""
        self._flush(os.open(self._directory, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY))

    def _open(self, path: Path) -> int:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            os.close(descriptor)
            raise NotRegularError(str(path), mode)
        return descriptor

    def _flush(self, descriptor: int) -> None:
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
    named = error.filename and not isinstance(error, NotRegularError) and str(error.filename) != place
    what = f"{Path(error.filename).name}: {error.strerror}" if named else error.strerror
    return StateError(f"{place} can't be used as the state directory: {what}")


def unlink_quietly(files: Files, name: str) -> None:
    """Removes what is in the way of nothing; what stays is removed another time."""
    try:
        files.unlink(name)
    except OSError:
        return


_ADVICE: Mapping[int, str] = MappingProxyType(
    {
        errno.ENOSPC: "make room on the disk of the state directory, and it goes on by itself",
        errno.EDQUOT: "make room in the quota of the server's user, and it goes on by itself",
        errno.EFBIG: "raise the limit on file sizes that the server runs under (ulimit -f)",
        errno.EROFS: "make the file system of the state directory writable, and it goes on by itself",
        errno.EMFILE: "let the server open more files",
        errno.ENFILE: "let the machine open more files",
        errno.EIO: "check the disk of the state directory",
    }
)


def unavailable(what: str, error: OSError) -> Unavailable:
    """The error for whoever asked, with what to do in it."""
    advice = _ADVICE.get(error.errno or 0, "check the state directory")
    return Unavailable(f"{what} ({error.strerror}): {advice}")
