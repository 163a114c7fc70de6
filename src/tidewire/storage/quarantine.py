"""Keeping damaged files for inspection, a few of them."""

import re

from tidewire.storage.files import Files, unlink_quietly

KEPT = 4
"""How many damaged files of earlier starts are kept; the oldest go. A disk that damages more needs no further
proof. What one start finds is kept whole, for someone may want to read records that it could not apply."""

_NAME = re.compile(r"(.+)\.damaged-(\d+)")


def move_aside(files: Files, name: str) -> str | None:
    """Renames a file that recovery can do without; None when that fails."""
    kept_as = _next_name(files, name)
    try:
        files.rename(name, kept_as)
    except OSError:
        return None
    return kept_as


def link_aside(files: Files, name: str) -> str | None:
    """Gives a file whose beginning is still needed a second name, under which it stays; None when that fails.

    It is never written again, so the second name needs no room. A start that comes here again finds it done.
    """
    for other in files.names():
        match = _NAME.fullmatch(other)
        if match and match[1] == name:
            return other
    kept_as = _next_name(files, name)
    try:
        files.link(name, kept_as)
    except OSError:
        return None
    return kept_as


def make_room_aside(files: Files) -> None:
    """Removes all but the newest of the files that earlier starts kept."""
    for name in kept_aside(files.names())[:-KEPT]:
        unlink_quietly(files, name)


def kept_aside(names: list[str]) -> list[str]:
    """The damaged files among the names, oldest first."""
    found = ((int(match[2]), name) for name in names if (match := _NAME.fullmatch(name)))
    return [name for _, name in sorted(found)]


def _next_name(files: Files, name: str) -> str:
    kept = kept_aside(files.names())
    return f"{name}.damaged-{int(kept[-1].rpartition('-')[2]) + 1 if kept else 1}"
