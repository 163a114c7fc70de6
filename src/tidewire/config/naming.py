"""Finds what settings name as `module:NAME`, in an application's own modules."""

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tidewire.config.problems import ConfigError, Problem

PATTERN = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*"
"""How it is written."""


@dataclass(frozen=True, slots=True)
class Named:
    """A name in a setting.

    Attributes:
        key: the setting.
        name: `module:NAME`.
        what: what it should name, in one word.
    """

    key: str
    name: str
    what: str

    def load(self, directory: Path | None = None) -> object:
        """What the name stands for.

        Args:
            directory: where modules are looked for after the installed ones; by default the working directory.

        Raises:
            ConfigError: there is no such module or name.
        """
        with looking_in(directory or Path.cwd()):
            return self._found()

    def call(self, function: Callable[[], object], directory: Path | None = None) -> object:
        """What a function gives.

        Raises:
            ConfigError: it failed.
        """
        with looking_in(directory or Path.cwd()):
            try:
                return function()
            except Exception as error:
                raise self._failed("calling it", error) from error

    def wrong(self, expected: str, found: str) -> ConfigError:
        """The error that says so."""
        return ConfigError([Problem(self.name, self.key, expected, found)])

    def _found(self) -> object:
        module_name, _, attribute = self.name.partition(":")
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
                raise self._failed("importing the module", error) from error
            expected = "a module in the working directory or installed where Tidewire is"
            raise self.wrong(expected, f"no module {error.name!r}") from None
        except Exception as error:
            raise self._failed("importing the module", error) from error
        try:
            return getattr(module, attribute)
        except AttributeError:
            raise self.wrong(f"a name in {module.__file__}", f"no {attribute!r} there") from None

    def _failed(self, doing: str, error: Exception) -> ConfigError:
        """The traceback of the cause is shown with `--debug`."""
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return self.wrong(
            f"{self.what} that can be loaded (--debug shows where it failed)", f"{doing} raised {text}"
        )


@contextlib.contextmanager
def looking_in(directory: Path) -> Iterator[None]:
    """Looks for modules in a directory too, but last: what lies there hides no installed module."""
    path = str(directory)
    sys.path.append(path)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.reverse()
        sys.path.remove(path)
        sys.path.reverse()
