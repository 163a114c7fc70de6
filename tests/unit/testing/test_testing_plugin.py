"""The pytest plugin, in a pytest of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

MODULE = """
from tidewire.testing.builders import a_notice
from tidewire.testing.server import TidewireServer


def test_one(tidewire_server: TidewireServer) -> None:
    ada = tidewire_server.follow("ada")
    tidewire_server.publish(a_notice("step", [1]))
    ada.wait_for(1)


def test_two(make_tidewire_server) -> None:
    one, other = make_tidewire_server(), make_tidewire_server(settings=["queues.max_per_user=1"])
    assert one.url != other.url
"""


SETTINGS = """
[pytest]
filterwarnings = error
asyncio_default_fixture_loop_scope = function
"""


@pytest.mark.slow
def test_its_fixtures_are_there_and_nothing_is_loaded_before_they_are_used(tmp_path: Path) -> None:
    (tmp_path / "test_application.py").write_text(MODULE)
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    run = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tidewire.testing.plugin",
        "-p",
        "no:cacheprovider",
    ]
    ran = subprocess.run([*run, str(tmp_path)], capture_output=True, text=True, check=False, cwd=tmp_path)  # noqa: S603 - our own code
    assert "2 passed" in ran.stdout, ran.stdout + ran.stderr
    light = "import sys, tidewire.testing.plugin; print([n for n in ('uvicorn', 'starlette') if n in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", light], capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert loaded.stdout == "[]\n"
