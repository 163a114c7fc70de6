"""The settings: one declared table, read from flags, environment and file into frozen records."""

from tidewire.config.checks import ConfigError, Problem
from tidewire.config.loading import load
from tidewire.config.secrets import check_secret, shared_secret
from tidewire.config.settings import Settings

__all__ = ["ConfigError", "Problem", "Settings", "check_secret", "load", "shared_secret"]
