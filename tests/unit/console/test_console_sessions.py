"""Sessions: they end, there are only so many, and nothing of them can be guessed from what is kept."""

import itertools

import pytest

from tidewire.console.security import Sessions, has_token

NOW = 1_790_000_000.0


def sessions(*, lifetime: float = 100.0, most: int = 3) -> Sessions:
    numbers = itertools.count()
    return Sessions(new_secret=lambda: f"secret-{next(numbers)}", lifetime=lifetime, most=most)


def test_a_session_is_found_by_its_id_until_it_ends() -> None:
    kept = sessions(lifetime=100.0)
    session_id, session = kept.open(NOW)
    assert kept.find(session_id, NOW) == session
    assert kept.find(session_id, NOW + 99.9) == session
    assert kept.find(session_id, NOW + 100) is None


def test_id_and_token_are_two_secrets() -> None:
    session_id, session = sessions().open(NOW)
    assert session_id != session.token


@pytest.mark.parametrize("session_id", [None, "", "secret-9", "\udcff", "x" * 10_000])
def test_other_ids_find_nothing(session_id: str | None) -> None:
    kept = sessions()
    kept.open(NOW)
    assert kept.find(session_id, NOW) is None


def test_a_closed_session_is_gone_and_others_stay() -> None:
    kept = sessions()
    first, _ = kept.open(NOW)
    second, _ = kept.open(NOW)
    kept.close(first)
    kept.close(first)
    kept.close(None)
    assert kept.find(first, NOW) is None
    assert kept.find(second, NOW) is not None


def test_the_oldest_makes_room_when_there_are_too_many() -> None:
    kept = sessions(most=3)
    ids = [kept.open(NOW + number)[0] for number in range(5)]
    assert [kept.find(session_id, NOW + 5) is not None for session_id in ids] == [
        False,
        False,
        True,
        True,
        True,
    ]


def test_what_has_ended_is_forgotten() -> None:
    kept = sessions(lifetime=10.0)
    kept.open(NOW)
    kept.open(NOW + 11)
    assert len(kept) == 1


def test_ids_are_not_kept_as_they_are() -> None:
    kept = sessions()
    session_id, _ = kept.open(NOW)
    assert session_id not in repr(kept._sessions)


@pytest.mark.parametrize("given", [None, "", "secret-0", "secret-1 ", "\udcff"])
def test_only_the_very_token_counts(given: str | None) -> None:
    _, session = sessions().open(NOW)
    assert session.token == "secret-1"
    assert has_token(session, "secret-1")
    assert not has_token(session, given)
