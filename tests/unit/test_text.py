"""Text for people."""

import pytest

from tidewire._text import counted


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 queues"), (1, "1 queue"), (2, "2 queues"), (12345, "12,345 queues")]
)
def test_one_of_a_kind_is_not_many(count: int, text: str) -> None:
    assert counted(count, "queue") == text
