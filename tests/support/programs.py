"""Programs and interpreters that tests need from the machine, and what a test does without them."""

import os
import shutil
from typing import NoReturn

import pytest


def require_programs(*programs: str) -> None:
    """Skips the test when a program is not installed, with its name; fails it when `CI` is set."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        not_here(f"not installed: {', '.join(missing)} (`.ci/run packages` says what installs it)")


def not_here(reason: str) -> NoReturn:
    """Skips the test, but fails it when `CI` is set: there nobody would notice that it does not run."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
