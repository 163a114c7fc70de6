"""Reads a key that a setting names the file of."""

from pathlib import Path

from tidewire.config.problems import ConfigError, Problem


def read_key(file: Path, name: str) -> str:
    """The key in a file, without the spaces and line ends around it.

    Raises:
        ConfigError: the file can't be read, or holds nothing.
    """
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        found = (getattr(error, "strerror", None) or "other bytes than ASCII").lower()
        raise ConfigError([Problem(str(file), name, "a file with a key that can be read", found)]) from None
    if not text:
        raise ConfigError([Problem(str(file), name, "a file with a key", "nothing")])
    return text
