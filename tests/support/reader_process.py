"""A program that prints a line of JSON for each event, while it runs."""

import json
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from support.server_process import clean_environment
from support.waiting import eventually


class ReaderProcess:
    """The program; a context manager that ends it."""

    def __init__(self, command: Sequence[str], directory: Path) -> None:
        self._out = directory / "reader.out"
        self._err = directory / "reader.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(  # noqa: S603 - the command is a test's
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=clean_environment()
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    @property
    def lines(self) -> list[Any]:
        """What it has printed, its last line only when that is whole."""
        return [json.loads(line) for line in self._out.read_text().split("\n")[:-1]]

    @property
    def errors(self) -> str:
        """What it has written to standard error."""
        return self._err.read_text()

    def wait_for(self, count: int) -> list[Any]:
        """Waits until it has printed so many lines, and returns all."""
        eventually(lambda: len(self.lines) >= count, what=f"{count} lines; errors: {self.errors}")
        return self.lines

    def terminate(self) -> int:
        """Ends it in order and returns its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)
