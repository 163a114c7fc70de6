"""Fixtures of the HTTP layer's tests."""

from pathlib import Path

import pytest

from support.site import LocalSite, local_site


@pytest.fixture
async def local(tmp_path: Path) -> LocalSite:
    """A site in process."""
    return local_site(tmp_path)
