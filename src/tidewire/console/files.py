"""The files of the page, read once: what they are called, and what kind each is."""

from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import NamedTuple

FOLDERS = ("page", "vendor")

INDEX = "page/index.html"

MEDIA_TYPES: Mapping[str, bytes] = MappingProxyType(
    {
        "css": b"text/css; charset=utf-8",
        "html": b"text/html; charset=utf-8",
        "js": b"text/javascript; charset=utf-8",
        "svg": b"image/svg+xml",
    }
)
"""By the end of the name; files of other kinds are not served."""


class File(NamedTuple):
    """A file as it is sent."""

    content: bytes
    media_type: bytes


def read_files() -> Mapping[str, File]:
    """Every file that may be served, by its path; nothing else can be asked for."""
    return MappingProxyType(dict(_files()))


def _files() -> Iterator[tuple[str, File]]:
    root: Traversable = resources.files("tidewire.console")
    for folder in FOLDERS:
        for file in (root / folder).iterdir():
            media_type = MEDIA_TYPES.get(file.name.rpartition(".")[2])
            if media_type is not None:
                yield f"{folder}/{file.name}", File(file.read_bytes(), media_type)
