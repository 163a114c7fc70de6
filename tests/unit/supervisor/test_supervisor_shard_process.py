"""One log of several shards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.supervisor.shard_process import RestartTimeouts, ShardLines

LOG = b'{"event":"a"}\nTraceback\n{"event":"b"}\nend'


@given(cuts=st.lists(st.integers(0, len(LOG)), max_size=5).map(sorted))
@pytest.mark.parametrize(
    ("structured", "expected"),
    [
        (True, b'{"shard":9801,"event":"a"}\nTraceback\n{"shard":9801,"event":"b"}\nend\n'),
        (False, b'[9801] {"event":"a"}\n[9801] Traceback\n[9801] {"event":"b"}\n[9801] end\n'),
    ],
)
def test_each_line_says_its_shard_however_it_comes(
    structured: bool, expected: bytes, cuts: list[int]
) -> None:
    lines = ShardLines(9801, structured=structured)
    ends = [*cuts, len(LOG)]
    pieces = [LOG[start:end] for start, end in zip([0, *cuts], ends, strict=True)]
    assert b"".join([*map(lines.feed, pieces), lines.end()]) == expected
    assert lines.end() == b""


def test_a_shard_that_ends_again_and_again_is_started_less_and_less_often() -> None:
    timeouts = RestartTimeouts(first=0.5, longest=30)
    assert [timeouts.wait(ends) for ends in (1, 2, 3, 7, 1000)] == [0.5, 1.0, 2.0, 30.0, 30.0]
