"""Remembered notice ids (D4)."""

from tidewire.core.notices.deduplication import RememberedIds


def filled() -> RememberedIds:
    remembered = RememberedIds()
    for number, notice_id in enumerate("abcd"):
        remembered.add(notice_id, notice_id.encode() * 16, 10.0 * number)
    return remembered


def test_a_known_id_gives_its_digest_and_an_unknown_one_none() -> None:
    assert filled().digest("b") == b"b" * 16
    assert filled().digest("z") is None


def test_surplus_counts_the_old_and_the_too_many() -> None:
    assert filled().surplus(before=-1.0, keep=0) == 0
    assert filled().surplus(before=10.0, keep=0) == 1
    assert filled().surplus(before=10.5, keep=10) == 2
    assert filled().surplus(before=-1.0, keep=1) == 3
    assert filled().surplus(before=10.5, keep=1) == 3
    assert filled().surplus(before=999.0, keep=4) == 4
    assert RememberedIds().surplus(before=1.0, keep=0) == 0


def test_the_oldest_are_forgotten_first() -> None:
    remembered = filled()
    remembered.forget(0)
    assert len(remembered) == 4
    remembered.forget(3)
    assert list(remembered) == [("d", b"d" * 16, 30.0)]
    remembered.forget(9)
    assert len(remembered) == 0
