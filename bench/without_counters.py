"""A copy of the package without what it counts, to be loaded beside the real one."""

import contextlib
import importlib
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import tidewire

COUNTING = re.compile(
    r"^(?P<indent> +)(?:(?:self\._state|self\._shard|self\._site|state|lane|site|found)\.)?"
    r"(?:statistics|requests)\.\w+(?:\[.+\])?(?: \+= .+)$",
    re.MULTILINE,
)
"""A line that counts; nothing but figures comes of it."""

FEWEST = 20
"""Such lines at least; fewer mean that the pattern no longer fits the source."""

OWN = ("tidewire", "shards", "messages")
"""Modules that exist once for each copy of the package."""


def copied_without_counters(folder: Path) -> Path:
    """Writes the copy and returns the folder to import it from."""
    target = folder / "tidewire"
    shutil.copytree(Path(tidewire.__file__).parent, target, ignore=shutil.ignore_patterns("__pycache__"))
    taken_out = 0
    for path in target.rglob("*.py"):
        text, count = COUNTING.subn(r"\g<indent>pass", path.read_text())
        path.write_text(text)
        taken_out += count
    if taken_out < FEWEST:
        raise RuntimeError(
            f"only {taken_out} lines count something: bench/without_counters.py is out of date"
        )
    return folder


def loaded_from(folder: Path, *names: str) -> list[ModuleType]:
    """Imports modules anew, with the package of that folder."""
    with _aside(), _first(folder):
        return [importlib.import_module(name) for name in names]


@contextlib.contextmanager
def _aside() -> Iterator[None]:
    """Has the modules that are loaded out of the way."""
    known = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in OWN}
    for name in known:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] in OWN]:
            del sys.modules[name]
        sys.modules.update(known)


@contextlib.contextmanager
def _first(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
