"""Every moment of an action: a function called before each line that the application's code carries out."""

import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

OURS = str(Path(__file__).parents[1])
NOT_THE_APPLICATIONS = (OURS, *{sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}, "<")
"""Code whose lines are no moments of their own: Python's, what is installed, and Tidewire's."""


class FaultPoints:
    """While it is entered, `look` is called before each line of the application's code on this thread.

    `look` is told where; it is not called within itself.
    """

    def __init__(self, look: Callable[[str], None]) -> None:
        self._look = look
        self._is_looking = False
        self._earlier: Any = None

    def __enter__(self) -> Self:
        self._earlier = sys.gettrace()
        sys.settrace(self._enter)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.settrace(self._earlier)

    def _enter(self, frame: FrameType, _event: str, _argument: object) -> Any:
        if self._is_looking or frame.f_code.co_filename.startswith(NOT_THE_APPLICATIONS):
            return None
        return self._line

    def _line(self, frame: FrameType, event: str, _argument: object) -> Any:
        if event == "line" and not self._is_looking:
            self._is_looking = True
            try:
                self._look(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
            finally:
                self._is_looking = False
        return self._line
