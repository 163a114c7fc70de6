"""The first steps that the pages show are carried out as they stand, and print what the pages say.

A block is marked by a comment above it: `run NAME` carries it out, `start NAME` carries it out in the background,
`repeat NAME` carries it out again and again while the outputs after it are waited for, since nobody can see when a
client in the background has registered; `output NAME` is what a block prints, `part NAME` stands in one of the lines. The address is replaced by a free port; queue ids, times and numbers of
events that other traffic shifts may differ.
"""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from support.demo_server import DemoServer, clean_environment, demo_server, running
from support.markdown import Block, marked_blocks
from support.programs import require_programs
from support.published_clients import client_program

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
TIDEWIRE = [sys.executable, "-m", "tidewire"]
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TAIL_FRONT = re.compile(r"^\d\d:\d\d:\d\d \d+ ", re.MULTILINE)
DEMO_URL = "http://127.0.0.1:9800"
SERVER_BLOCK = "make run"

DEADLINE = 30.0
"""Seconds for what comes by itself: the demo's traffic repeats every twenty."""

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


OUTPUTS = ("output", "part")
REPEAT_EVERY = 1.0
"""Seconds between two runs of a block that is repeated: the bots give up when they are asked too often."""

NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


class Reader:
    """Somebody who follows a page, block after block, in a folder of their own."""

    def __init__(
        self,
        folder: Path,
        background: contextlib.ExitStack,
        server: DemoServer | None,
        variables: Mapping[str, str] = NO_VARIABLES,
    ) -> None:
        self._folder = folder
        self._background = background
        self._server = server
        self._environment = {**clean_environment(), **variables}
        self._printed: dict[str, Path] = {}
        self._growing: set[str] = set()
        self._queue_ids: dict[str, str] = {}
        self._repeated: Block | None = None
        self._repeat_at = 0.0

    def follow(self, block: Block) -> None:
        """Does what the block says, or compares what it shows."""
        if block.text == SERVER_BLOCK:
            assert self._server is not None
            self._printed[block.name] = self._server.output
            self._growing.add(block.name)
        elif block.verb in OUTPUTS:
            self._compare(block)
        else:
            output = self._folder / f"{block.name}.out"
            self._printed[block.name] = output
            command = self._command(block)
            self._repeated = block if block.verb == "repeat" else self._repeated
            if block.verb == "start":
                self._growing.add(block.name)
                self._background.enter_context(
                    running(command, output=output, cwd=self._folder, environment=self._environment)
                )
            else:
                self._run(command, output)

    def _run(self, command: list[str], output: Path) -> None:
        done = subprocess.run(  # noqa: S603 - the pages' own commands
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            env=self._environment,
            timeout=DEADLINE,
            check=False,
        )
        output.write_bytes(done.stdout)
        assert done.returncode == 0, done.stdout.decode()

    def _command(self, block: Block) -> list[str]:
        text = self._actual(block.text).replace(".venv/bin/", f"{BIN}/")
        if block.language == "python":
            return [sys.executable, "-W", "error", "-c", text]
        if block.language == "js":
            return ["node", "-e", text]
        assert block.language == "sh", f"{block.name}: can't run {block.language}"
        script = f"exec {text}" if block.verb == "start" else f"set -euo pipefail\n{text}"
        return ["bash", "-c", script]

    def _actual(self, text: str) -> str:
        """The text with this run's address and queue ids in place of the page's."""
        if self._server is not None:
            text = text.replace(DEMO_URL, self._server.url)
        return UUID.sub(lambda match: self._queue_ids.get(match[0], match[0]), text)

    def _compare(self, block: Block) -> None:
        output = self._printed[block.name]
        deadline = time.monotonic() + DEADLINE
        while True:
            printed = output.read_text(encoding="utf-8")
            self._learn_queue_ids(block.text, printed)
            expected, there = _lines(self._actual(block.text)), _lines(printed)
            if block.verb == "part":
                missing = [part for part in expected if not any(part in line for line in there)]
            else:
                missing = [line for line in expected if line not in there]
            if not missing:
                return
            if block.name not in self._growing or time.monotonic() > deadline:
                pytest.fail(f"{block.name} did not print {missing}, but:\n{printed}")
            self._repeat()
            time.sleep(0.1)

    def _repeat(self) -> None:
        if self._repeated is not None and time.monotonic() >= self._repeat_at:
            self._run(self._command(self._repeated), self._printed[self._repeated.name])
            self._repeat_at = time.monotonic() + REPEAT_EVERY

    def _learn_queue_ids(self, shown: str, printed: str) -> None:
        for name, actual in zip(UUID.findall(shown), UUID.findall(printed), strict=False):
            self._queue_ids.setdefault(name, actual)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in TAIL_FRONT.sub("", text).splitlines()]


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
