"""Whatever is sent, lane and ordinary routes answer it alike (`tests/mutations.py` sends more)."""

import pytest

from support.lane_pair import GOOD, compare, lane_pair


@pytest.mark.slow
async def test_mutated_requests_are_answered_alike() -> None:
    _, statuses = await compare(seed=20261124, count=2_000)
    assert {b"200", b"400", b"401", b"404"} <= statuses.keys()


async def test_good_requests_are_answered_alike_again_and_again() -> None:
    async with lane_pair() as pair:
        for request in GOOD:
            fast, plain = await pair.answers(request, request, request)
            assert fast == plain
            assert fast[0].count(b"HTTP/1.1 ") == 3
        assert pair.sides[0].lane.statistics.repolls
