"""The settings that a command works by."""

import os
from pathlib import Path

from tidewire.config import Settings, load

DEFAULT_FILE = Path("tidewire.toml")
"""Read when it is there and no other is named."""


def load_settings(config: Path | None, overrides: list[str]) -> Settings:
    """The settings from file, environment and flags.

    Raises:
        ConfigError: something is wrong with them.
    """
    file = config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    return load(file=file, environ=os.environ, overrides=overrides)
