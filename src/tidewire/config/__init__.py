"""The settings: one declared table, read from flags, environment and file into frozen records."""

from tidewire.config.loading import load
from tidewire.config.problems import ConfigError, Problem
from tidewire.config.records import Settings
from tidewire.config.secret import check_secret, shared_secret

__all__ = ["ConfigError", "Problem", "Settings", "check_secret", "load", "shared_secret"]
