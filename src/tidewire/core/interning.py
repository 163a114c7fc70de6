"""Interning with a reference count: equal values become one object, and go when nobody uses them (D1)."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Interner(Generic[T]):
    """Gives the same object for equal keys, for as long as someone holds it."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[Hashable, tuple[T, int]] = {}

    def acquire(self, key: Hashable, make: Callable[[], T]) -> T:
        """The object for `key`, made on first use; each call is matched by one `release`."""
        known = self._entries.get(key)
        value, count = (make(), 0) if known is None else known
        self._entries[key] = (value, count + 1)
        return value

    def release(self, key: Hashable) -> bool:
        """Gives back one `acquire` of `key`; the last one drops the object, and is answered with True."""
        value, count = self._entries[key]
        if count == 1:
            del self._entries[key]
            return True
        self._entries[key] = (value, count - 1)
        return False

    def __len__(self) -> int:
        return len(self._entries)
