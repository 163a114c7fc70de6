"""Interning with a count of holders (D1)."""

import pytest

from tidewire.core.interning import Interner


def test_equal_keys_give_the_same_object_made_once() -> None:
    interner: Interner[object] = Interner()
    made = [interner.acquire((1, "a"), object), interner.acquire((1, "a"), object)]
    assert made[0] is made[1]
    assert interner.acquire((2, "a"), object) is not made[0]
    assert len(interner) == 2


def test_the_last_release_drops_the_object() -> None:
    interner: Interner[object] = Interner()
    first = interner.acquire("a", object)
    interner.acquire("a", object)
    interner.release("a")
    assert interner.acquire("a", object) is first
    interner.release("a")
    interner.release("a")
    assert len(interner) == 0
    assert interner.acquire("a", object) is not first


def test_what_could_not_be_made_is_not_kept() -> None:
    interner: Interner[object] = Interner()

    def fails() -> object:
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        interner.acquire("a", fails)
    assert len(interner) == 0
