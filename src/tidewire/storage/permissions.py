"""Who else may use a state directory, and what that means for a start.

Whoever can write it can put another state there, or another secret, and so give orders to the server. Whoever can only read it
reads what the files' own modes let them, which is nothing as long as the server made them.
"""

import stat
from pathlib import Path

from tidewire.core.errors import StateError

READ = stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH
WRITE = stat.S_IWGRP | stat.S_IWOTH


def mode_of(directory: Path) -> int:
    """The permissions of a directory, as a number; 0 when it is not there, or can't be asked for them."""
    try:
        return stat.S_IMODE(directory.stat().st_mode)
    except OSError:
        return 0


def writable_by_others(directory: Path) -> str | None:
    """What is wrong, and what to do about it, when others than its owner may write the directory."""
    mode = mode_of(directory)
    if not mode & WRITE:
        return None
    return (
        f"{directory} can be written by others than its owner (mode {mode:04o}), who could put another state or secret "
        f"there: chmod 700 {directory}"
    )


def readable_by_others(directory: Path) -> str | None:
    """What is wrong, and what to do about it, if others than its owner may list or enter the directory."""
    mode = mode_of(directory)
    if mode & WRITE or not mode & READ:
        return None
    return f"{directory} can be read by others than its owner (mode {mode:04o}): chmod 700 {directory}"


def check_directory(directory: Path) -> None:
    """Refuses a directory that others may write; one that is not there yet will be made for its owner alone.

    Raises:
        StateError: so it is.
    """
    problem = writable_by_others(directory)
    if problem is not None:
        raise StateError(problem)
