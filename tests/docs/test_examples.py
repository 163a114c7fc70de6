"""The first steps that the pages show are carried out as they stand, and print what the pages say.

How blocks are marked is said in `support/page_reader.py`.
"""

import contextlib
import os
import sys
from pathlib import Path

import pytest

from support.demo_server import demo_server
from support.markdown import Block, marked_blocks
from support.page_reader import OUTPUTS, Reader
from support.programs import require_programs
from support.published_clients import client_program

ROOT = Path(__file__).parents[2]
TIDEWIRE = [sys.executable, "-m", "tidewire"]

WITH_SERVER = [
    "README.md",
    "docs/tutorial/first-event.md",
    "docs/howto/publish-from-an-application.md",
    "docs/howto/follow-events.md",
]
WITH_CLIENTS = "docs/howto/use-published-clients.md"
WITHOUT_SERVER = [
    "docs/howto/replay-a-scenario.md",
    "docs/howto/compress-your-own-events.md",
    "docs/howto/test-an-application.md",
]


def blocks_of(name: str) -> list[Block]:
    return marked_blocks((ROOT / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def _curl() -> None:
    require_programs("bash", "curl")


@pytest.mark.slow
@pytest.mark.usefixtures("_curl")
@pytest.mark.parametrize("name", WITH_SERVER)
def test_the_steps_of_a_page_do_what_it_says(name: str, tmp_path: Path) -> None:
    with demo_server(TIDEWIRE, tmp_path) as server, contextlib.ExitStack() as background:
        reader = Reader(tmp_path, background, server)
        for block in blocks_of(name):
            reader.follow(block)


@pytest.mark.slow
@pytest.mark.usefixtures("_curl")
@pytest.mark.parametrize("name", WITHOUT_SERVER)
def test_the_steps_of_a_page_without_a_server_do_what_it_says(name: str, tmp_path: Path) -> None:
    with contextlib.ExitStack() as background:
        reader = Reader(tmp_path, background, None)
        for block in blocks_of(name):
            reader.follow(block)


@pytest.mark.slow
@pytest.mark.usefixtures("_curl")
def test_the_steps_with_published_clients_do_what_the_page_says(tmp_path: Path) -> None:
    programs = client_program("zulip-bots", "bin")
    variables = {
        "NODE_PATH": str(client_program("zulip-js", "node_modules")),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
    }
    with demo_server(TIDEWIRE, tmp_path, "--quiet") as server, contextlib.ExitStack() as background:
        reader = Reader(tmp_path, background, server, variables)
        for block in blocks_of(WITH_CLIENTS):
            reader.follow(block)


@pytest.mark.parametrize("name", [*WITH_SERVER, WITH_CLIENTS, *WITHOUT_SERVER])
def test_every_output_belongs_to_a_block_before_it(name: str) -> None:
    blocks = blocks_of(name)
    done: set[str] = set()
    for block in blocks:
        if block.verb not in OUTPUTS:
            done.add(block.name)
        assert block.name in done
    assert any(block.verb == "run" for block in blocks)


def test_make_run_is_the_demo() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert "tidewire demo --port $(PORT)" in makefile
    assert "PORT ?= 9800\n" in makefile


def test_the_readme_shows_the_example_as_it_is() -> None:
    (shown,) = [block.text for block in blocks_of("README.md") if block.language == "python"]

    assert shown == (ROOT / "examples" / "hello.py").read_text(encoding="utf-8").rstrip()
