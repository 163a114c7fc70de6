"""Notices without a name: which redelivered one is a repeat."""

from tidewire.bus.anonymous import AnonymousNotices, left_behind

A, B, C = b"a", b"b", b"c"


def taken(anonymous: AnonymousNotices, *digests: bytes) -> list[str]:
    """Has notices delivered and journalled; returns their names."""
    names = []
    for digest in digests:
        anonymous.delivered(redelivered=False)
        names.append(anonymous.next_name())
        anonymous.took(digest)
    return names


def redelivered(anonymous: AnonymousNotices, digest: bytes) -> bool:
    """Has one delivered again; whether it is taken for a repeat."""
    anonymous.delivered(redelivered=True)
    return anonymous.is_repeat(digest)


def after_crash(names: list[str], digests: list[bytes], *, window: int) -> AnonymousNotices:
    """The next run, when these were remembered, oldest first."""
    newest_first = zip(reversed(names), reversed(digests), strict=True)
    return AnonymousNotices(run="b", window=window, left=left_behind(newest_first, window=window))


def test_each_gets_a_name_of_its_own() -> None:
    names = taken(AnonymousNotices(run="a", window=2), A, A, B)
    assert len(set(names)) == 3


def test_after_a_crash_what_was_journalled_is_a_repeat_as_often_as_it_was() -> None:
    names = taken(AnonymousNotices(run="a", window=10), A, A, B)
    anonymous = after_crash(names, [A, A, B], window=10)
    assert [redelivered(anonymous, digest) for digest in (A, A, A, B, C)] == [True, True, False, True, False]


def test_what_the_broker_must_have_been_told_of_is_no_repeat() -> None:
    names = taken(AnonymousNotices(run="a", window=2), A, B, C, B, C)
    anonymous = after_crash(names, [A, B, C, B, C], window=2)
    assert not redelivered(anonymous, A)


def test_the_names_tell_how_far_the_broker_had_come() -> None:
    # Seen with a window that is larger than the earlier run's.
    names = taken(AnonymousNotices(run="a", window=2), A, B, C, C)
    anonymous = after_crash(names, [A, B, C, C], window=100)
    assert [redelivered(anonymous, digest) for digest in (A, C)] == [False, True]


def test_of_several_runs_only_the_last_counts() -> None:
    old = taken(AnonymousNotices(run="a", window=10), A)
    new = taken(AnonymousNotices(run="c", window=10), B)
    anonymous = after_crash(["n-1", *old, "n-2", *new], [C, A, C, B], window=10)
    assert [redelivered(anonymous, digest) for digest in (A, B, C)] == [False, True, False]


def test_over_a_lost_connection_what_was_not_journalled_is_carried_out() -> None:
    anonymous = AnonymousNotices(run="a", window=10)
    taken(anonymous, A, B)
    anonymous.lost([A])
    # The broker has two of A that look the same: the journalled one and the one that was not.
    assert [redelivered(anonymous, digest) for digest in (A, A, B)] == [False, True, True]


def test_the_first_new_delivery_ends_the_redelivered_ones() -> None:
    anonymous = AnonymousNotices(run="a", window=10)
    taken(anonymous, A)
    anonymous.lost([])
    taken(anonymous, C)
    assert not redelivered(anonymous, A)
