"""Which records count, case by case; and frames, of which no part is ever taken for a whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.storage.chain import Chain, follow
from tidewire.storage.frames import HEAD, pack, payloads, scan
from tidewire.storage.segments import FoundSegment, SegmentHeader


def segment(serial: int, *, follows: int, records: int, first: int = 0, damaged: int = 0) -> FoundSegment:
    header = SegmentHeader(follows=follows, first=first or follows + 1, base=0, fingerprint=f"rules {serial}")
    return FoundSegment(
        serial=serial, size=50 + damaged, header=header, start=10, records=records, end=50, beyond=0
    )


def unreadable(serial: int, size: int = 50) -> FoundSegment:
    return FoundSegment(serial=serial, size=size, header=None, start=0, records=0, end=0, beyond=0)


def stretches(chain: Chain) -> list[tuple[int, int, int]]:
    return [(link.segment.serial, link.first, link.last) for link in chain.links]


def test_segments_that_follow_each_other_all_count() -> None:
    chain = follow([segment(1, follows=0, records=3), segment(2, follows=3, records=2)], 0)
    assert stretches(chain) == [(1, 1, 3), (2, 4, 5)]
    assert (chain.reached, chain.torn, chain.lost) == (5, None, ())


def test_segments_before_the_snapshot_do_not_count() -> None:
    chain = follow([segment(1, follows=0, records=3), segment(2, follows=3, records=2)], 3)
    assert stretches(chain) == [(2, 4, 5)]


def test_a_segment_cuts_what_older_ones_have_after_the_record_it_follows() -> None:
    older = [segment(1, follows=0, records=3), segment(2, follows=3, records=3, damaged=7)]
    chain = follow([*older, segment(3, follows=4, records=1)], 0)
    assert stretches(chain) == [(1, 1, 3), (2, 4, 4), (3, 5, 5)]
    assert (chain.reached, chain.torn) == (5, None)


def test_a_segment_without_records_cuts_as_well() -> None:
    chain = follow([segment(1, follows=0, records=3), segment(2, follows=2, records=0)], 0)
    assert stretches(chain) == [(1, 1, 2)]
    assert chain.reached == 2


def test_behind_a_gap_nothing_counts_until_a_later_segment_takes_up_before_it() -> None:
    torn, lost = segment(1, follows=0, records=3, damaged=5), segment(2, follows=4, records=2)
    chain = follow([torn, lost], 0)
    assert (chain.reached, chain.torn, chain.lost) == (3, torn, (lost,))
    chain = follow([torn, lost, segment(3, follows=3, records=1)], 0)
    assert stretches(chain) == [(1, 1, 3), (3, 4, 4)]
    assert (chain.torn, chain.lost) == (None, ())


def test_positions_may_be_left_out_where_it_is_said() -> None:
    chain = follow([segment(1, follows=0, records=2), segment(2, follows=2, first=9, records=2)], 0)
    assert stretches(chain) == [(1, 1, 2), (2, 9, 10)]


def test_a_segment_without_a_header_is_lost_unless_it_is_empty_or_a_later_one_knew() -> None:
    whole = segment(1, follows=0, records=2)
    assert follow([whole, unreadable(2)], 0).lost == (unreadable(2),)
    assert follow([whole, unreadable(2, size=0)], 0).lost == ()
    assert follow([whole, unreadable(2), segment(3, follows=2, records=0)], 0).lost == ()


PAYLOADS = st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=6)


@given(PAYLOADS, st.integers(0, 2**40), st.data())
def test_a_changed_bit_or_a_cut_ends_the_frames_where_it_is(
    content: list[bytes], number: int, data: st.DataObject
) -> None:
    frames = [pack(payload, number + index) for index, payload in enumerate(content)]
    whole = b"".join(frames)
    assert scan(whole, 0, number) == (len(frames), len(whole))
    assert list(payloads(whole, 0, len(frames))) == content
    place = data.draw(st.integers(0, len(whole) - 1))
    hit = next(index for index in range(len(frames)) if place < len(b"".join(frames[: index + 1])))
    changed = bytearray(whole)
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    assert scan(bytes(changed), 0, number).frames == hit
    assert scan(whole[:place], 0, number).frames == hit


@pytest.mark.parametrize("number", [0, 1, 2**32, 2**32 + 7])
def test_zeros_are_no_frames(number: int) -> None:
    assert scan(bytes(10 * HEAD.size), 0, number) == (0, 0)
