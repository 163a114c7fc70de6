"""Where `make test` puts the published clients, and what a test does when one is not there."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import zulip

from support.programs import not_here

CLIENTS = Path(__file__).parents[2] / ".clients"


def client_program(name: str, program: str) -> Path:
    """A file of an installed client.

    Args:
        name: the client.
        program: the file's path in the client's folder.

    Where this machine can't have the client, the test is skipped, with the reason. Where it is merely not installed,
    the test is skipped too, but fails when `CI` is set: there nobody would notice.
    """
    folder = CLIENTS / name
    unavailable = folder / "unavailable"
    if unavailable.exists():
        pytest.skip(f"{name} {unavailable.read_text().strip()}")
    if not (folder / "pins").exists():
        not_here(f"{name} is not installed: `make .clients` installs it, if its interpreter is there")
    return folder / program


def zuliprc(folder: Path, *, site: str, email: str, key: str) -> Path:
    """Writes the file that the published clients are configured by."""
    path = folder / "zuliprc"
    path.write_text(f"[api]\nemail={email}\nkey={key}\nsite={site}\n")
    return path


@contextlib.contextmanager
def python_client(site: str, *, email: str, key: str, name: str | None = None) -> Iterator[zulip.Client]:
    """The Python client, which says that it is `name`; its connections are closed after the block."""
    client = zulip.Client(site=site, email=email, api_key=key, client=name)
    try:
        yield client
    finally:
        if client.session is not None:
            client.session.close()
