"""Fixtures of the console's tests."""

from pathlib import Path

import pytest

from support.console_site import ConsoleSite, console_site
from support.site import LocalSite, local_site


@pytest.fixture
async def local(tmp_path: Path) -> LocalSite:
    """A site in process."""
    return local_site(tmp_path)


@pytest.fixture
async def console(local: LocalSite) -> ConsoleSite:
    """The console on it; nobody has logged in."""
    return console_site(local)
