"""Reads a key that a setting names the file of."""

import os
import stat
from pathlib import Path

from tidewire.config.problems import ConfigError, Problem

WRITABLE = stat.S_IWGRP | stat.S_IWOTH
"""By others than its owner."""


def read_key(file: Path, name: str) -> str:
    """The key in a file, without the spaces and line ends around it.

    Raises:
        ConfigError: the file can't be read, can be written by others than its owner, or holds nothing.
    """
    try:
        with file.open(encoding="ascii") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            text = stream.read().strip()
    except (OSError, ValueError) as error:
        found = (getattr(error, "strerror", None) or "other bytes than ASCII").lower()
        raise ConfigError([Problem(str(file), name, "a file with a key that can be read", found)]) from None
    if mode & WRITABLE:
        # Public or not: whoever can put another key there can say who anybody is.
        expected = f"a file that only its owner can write: chmod go-w {file}"
        raise ConfigError([Problem(str(file), name, expected, f"mode {mode:04o}")])
    if not text:
        raise ConfigError([Problem(str(file), name, "a file with a key", "nothing")])
    return text
