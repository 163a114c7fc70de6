"""What to tell when the disk fails: which of the known causes it is, and what a person can do about it."""

import errno
from collections.abc import Mapping
from types import MappingProxyType

from tidewire.core.errors import Unavailable

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
