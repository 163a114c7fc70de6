"""Which records count, case by case; and frames, of which no part is ever taken for a whole."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.storage.format import HEAD, LAG_MOST, Run, pack, payloads, read_frames, scan
from tidewire.storage.recovery import Chain, follow
from tidewire.storage.segments import FoundSegment, SegmentHeader

BOOT = "this run"


def segment(
    serial: int,
    *runs: tuple[int, int],
    follows: int | None = None,
    first: int = 0,
    torn: int = 0,
    boot: str = BOOT,
    begins: bool = False,
    flushed: int = -1,
) -> FoundSegment:
    """A segment with these stretches of whole records."""
    after = runs[0][0] - 1 if follows is None else follows
    header = SegmentHeader(
        follows=after, first=first or after + 1, base=0, fingerprint="rules", boot=boot, begins=begins
    )
    found = tuple(
        Run(start, end - start + 1, 0, 0, LAG_MOST if flushed < 0 else end - flushed) for start, end in runs
    )
    return FoundSegment(
        serial=serial, size=50 + torn, header=header, runs=found, damaged=torn, torn=torn, is_cut=True
    )


def unreadable(serial: int, size: int = 50) -> FoundSegment:
    return FoundSegment(serial=serial, size=size, header=None, runs=(), damaged=size, torn=size, is_cut=False)


def stretches(chain: Chain) -> list[tuple[int, int, int]]:
    return [(link.segment.serial, link.first, link.last) for link in chain.links]


def test_segments_that_follow_each_other_all_count() -> None:
    chain = follow([segment(1, (1, 3)), segment(2, (4, 5))], 0, BOOT)
    assert stretches(chain) == [(1, 1, 3), (2, 4, 5)]
    assert (chain.reached, chain.existed, chain.torn, chain.lost) == (5, 5, None, ())


def test_segments_before_the_snapshot_do_not_count() -> None:
    chain = follow([segment(1, (1, 3)), segment(2, (4, 5))], 3, BOOT)
    assert stretches(chain) == [(2, 4, 5)]


def test_a_segment_cuts_what_older_ones_have_after_the_record_it_follows() -> None:
    older = [segment(1, (1, 3)), segment(2, (4, 6), torn=7)]
    chain = follow([*older, segment(3, (5, 5), begins=True)], 0, BOOT)
    assert stretches(chain) == [(1, 1, 3), (2, 4, 4), (3, 5, 5)]
    assert (chain.reached, chain.torn) == (5, None)


def test_a_segment_without_records_cuts_as_well() -> None:
    chain = follow([segment(1, (1, 3)), segment(2, follows=2)], 0, BOOT)
    assert stretches(chain) == [(1, 1, 2)]
    assert chain.reached == 2


def test_a_gap_within_this_run_of_the_machine_is_damage_and_what_follows_counts() -> None:
    chain = follow([segment(1, (1, 2), (5, 6)), segment(2, (9, 9))], 0, BOOT)
    assert [(gap.first, gap.last) for gap in chain.gaps] == [(3, 4), (7, 8)]
    assert (chain.reached, chain.holes) == (9, 4)


@pytest.mark.parametrize("boot", [BOOT, ""])
def test_a_gap_of_another_run_ends_what_counts(boot: str) -> None:
    first, second = segment(1, (1, 2), (5, 6), boot="before"), segment(2, (7, 9), boot="before")
    chain = follow([first, second], 0, boot)
    assert stretches(chain) == [(1, 1, 2)]
    assert (chain.reached, chain.existed, chain.gaps) == (2, 2, ())
    assert (chain.torn, chain.lost) == (first, (second,))


def test_a_gap_of_another_run_is_damage_if_a_later_record_says_that_it_had_been_flushed() -> None:
    for flushed, counts in ((2, 2), (3, 9), (8, 9)):
        segments = [
            segment(1, (1, 2), (5, 6), boot="before"),
            segment(2, (7, 9), boot="before", flushed=flushed),
        ]
        assert follow(segments, 0, BOOT).reached == counts


def test_a_gap_that_an_earlier_start_went_past_is_one_for_ever_and_is_not_told_again() -> None:
    older = [segment(1, (1, 2), (5, 6), boot="before"), segment(2, (7, 7), boot="later", begins=True)]
    chain = follow(older, 0, BOOT)
    assert (chain.reached, chain.gaps, chain.holes) == (7, (), 2)


def test_where_an_earlier_start_stopped_what_is_behind_never_counts() -> None:
    older = [segment(1, (1, 2), (5, 6)), segment(2, (3, 3), begins=True)]
    chain = follow(older, 0, BOOT)
    assert stretches(chain) == [(1, 1, 2), (2, 3, 3)]
    assert (chain.holes, chain.lost) == (0, ())


def test_positions_may_be_left_out_where_it_is_said_and_are_lost() -> None:
    chain = follow([segment(1, (1, 2)), segment(2, (9, 10), follows=2, first=9, begins=True)], 0, BOOT)
    assert stretches(chain) == [(1, 1, 2), (2, 9, 10)]
    assert (chain.holes, chain.gaps) == (6, ())


def test_records_that_a_segment_follows_and_that_are_not_there_are_known_to_be_lost() -> None:
    chain = follow([segment(1, (1, 2)), segment(2, follows=4)], 0, BOOT)
    assert (chain.reached, chain.existed, chain.holes) == (2, 4, 2)


def test_a_segment_without_a_header_is_lost_unless_it_is_empty_or_a_later_one_knew() -> None:
    whole = segment(1, (1, 2))
    assert follow([whole, unreadable(2)], 0, BOOT).lost == (unreadable(2),)
    assert follow([whole, unreadable(2, size=0)], 0, BOOT).lost == ()
    assert follow([whole, unreadable(2), segment(3, follows=2, begins=True)], 0, BOOT).lost == ()


PAYLOADS = st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=6)
SEED = 77


def found(data: bytes, number: int) -> dict[int, bytes]:
    """What can be read, both ways."""
    runs = scan(data, 0, number, SEED)
    numbered = {
        run.first + place: payload for run in runs for place, payload in enumerate(payloads(data, run))
    }
    if not number:
        read = read_frames(io.BytesIO(data), 0, len(data), SEED)
        assert {frame.number: frame.payload for frame in read} == numbered
    return numbered


@given(PAYLOADS, st.one_of(st.just(0), st.integers(0, 2**40)), st.data())
def test_a_changed_bit_or_a_cut_costs_the_frame_that_it_is_in(
    content: list[bytes], number: int, data: st.DataObject
) -> None:
    frames = [pack(payload, number + index, SEED, lag=index) for index, payload in enumerate(content)]
    whole = b"".join(frames)
    numbered = dict(enumerate(content, number))
    assert found(whole, number) == numbered
    place = data.draw(st.integers(0, len(whole) - 1))
    hit = next(index for index in range(len(frames)) if place < len(b"".join(frames[: index + 1])))
    changed = bytearray(whole)
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    assert found(bytes(changed), number) == {
        key: value for key, value in numbered.items() if key != number + hit
    }
    assert found(whole[:place], number) == {
        key: value for key, value in numbered.items() if key < number + hit
    }
    hole = data.draw(st.integers(1, 40))
    left = found(whole[:place] + bytes(hole) + whole[place + hole :], number)
    assert left.items() <= numbered.items()
    twice = data.draw(st.integers(0, len(frames)))
    assert found(b"".join([*frames[:twice], *frames]), number) == numbered


@given(PAYLOADS, st.integers(0, 2**40))
def test_a_frame_of_another_file_is_none(content: list[bytes], number: int) -> None:
    frames = b"".join(pack(payload, number + index, SEED + 1) for index, payload in enumerate(content))
    assert found(frames, number) == {}


@pytest.mark.parametrize("number", [0, 1, 2**32, 2**32 + 7])
def test_zeros_are_no_frames(number: int) -> None:
    assert scan(bytes(10 * HEAD.size), 0, number, SEED) == []
