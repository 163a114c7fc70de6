"""Somebody who follows a page: carries out its marked blocks as they stand, and looks for what it says is seen.

A block is marked by a comment above it: `run NAME` carries it out, `start NAME` carries it out in the background,
`repeat NAME` carries it out again and again while the outputs after it are waited for, since nobody can see when a
client in the background has registered; `output NAME` is what a block prints, `part NAME` stands in one of the lines.
`file PATH` is written, `append PATH` put at the end of a file. `open NAME` opens an address in a window of a browser,
`fill NAME` types into the fields of a form there, line by line, `click NAME` clicks a button, `see NAME` and
`unseen NAME` are what the window shows and does not show.

Addresses are replaced by free ones; queue ids, times and numbers of events that other traffic shifts may differ.
"""

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from support.demo_server import DemoServer, clean_environment, free_port, running
from support.markdown import Block

BIN = Path(sys.executable).parent
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TAIL_FRONT = re.compile(r"^\d\d:\d\d:\d\d \d+ ", re.MULTILINE)
DEMO_URL = "http://127.0.0.1:9800"
SERVER_BLOCK = "make run"

DEADLINE = 90.0
"""Seconds for what comes by itself: the demo's traffic repeats every twenty."""

OUTPUTS = ("output", "part")
REPEAT_EVERY = 1.0
"""Seconds between two runs of a block that is repeated: the bots give up when they are asked too often."""

PORTS = ("9800", "8000")
"""What the pages of tutorials listen on."""

NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


class Reader:
    """Somebody who follows a page, block after block, in a folder of their own."""

    def __init__(
        self,
        folder: Path,
        background: contextlib.ExitStack,
        server: DemoServer | None,
        variables: Mapping[str, str] = NO_VARIABLES,
        windows: BrowserContext | None = None,
    ) -> None:
        """Takes a folder to work in, what ends the background, a demo if the page has one, and windows if it opens any."""
        self._folder = folder
        self._background = background
        self._server = server
        self._environment = {**clean_environment(), **variables}
        self._printed: dict[str, Path] = {}
        self._growing: set[str] = set()
        self._queue_ids: dict[str, str] = {}
        self._repeated: Block | None = None
        self._repeat_at = 0.0
        self._ports = {} if server is not None else {port: str(free_port()) for port in PORTS}
        self._windows = windows
        self._opened: dict[str, Page] = {}
        self._by_verb: dict[str, Callable[[Block], None]] = {
            "output": self._compare,
            "part": self._compare,
            "file": self._write,
            "append": self._write,
            "open": self._open,
            "fill": self._fill,
            "click": self._click,
            "see": self._see,
            "unseen": self._see,
        }

    def follow(self, block: Block) -> None:
        """Does what the block says, or compares what it shows."""
        if block.text == SERVER_BLOCK:
            assert self._server is not None
            self._printed[block.name] = self._server.output
            self._growing.add(block.name)
        elif block.verb in self._by_verb:
            self._by_verb[block.verb](block)
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

    def _write(self, block: Block) -> None:
        path = self._folder / block.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if block.verb == "append" else "w", encoding="utf-8") as file:
            file.write(self._actual(block.text) + "\n")

    def _open(self, block: Block) -> None:
        assert self._windows is not None
        self._opened[block.name] = page = self._windows.new_page()
        page.goto(self._actual(block.text))

    def _fill(self, block: Block) -> None:
        for line in block.text.splitlines():
            label, _, text = line.partition(": ")
            self._opened[block.name].get_by_label(label).fill(text)

    def _click(self, block: Block) -> None:
        self._opened[block.name].get_by_role("button", name=block.text).click()

    def _see(self, block: Block) -> None:
        for line in block.text.splitlines():
            shown = self._opened[block.name].get_by_text(line, exact=True)
            expect(shown).to_be_visible() if block.verb == "see" else expect(shown).to_have_count(0)

    def _actual(self, text: str) -> str:
        """The text with this run's addresses and queue ids in place of the page's."""
        if self._server is not None:
            text = text.replace(DEMO_URL, self._server.url)
        for port, own in self._ports.items():
            text = re.sub(rf"(127\.0\.0\.1:|port ?=? ?){port}\b", rf"\g<1>{own}", text)
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
