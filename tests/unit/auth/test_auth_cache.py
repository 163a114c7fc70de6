"""What is remembered of who was let in: while it holds, at most so much, and nothing of a session that was revoked."""

from hypothesis import given
from hypothesis import strategies as st

from tidewire.auth.cache import Remembered, digest_of
from tidewire.core.ids import RealmId, UserId
from tidewire.core.users import User
from tidewire.ports.auth import AuthResult

KEYS = [digest_of(str(number)) for number in range(6)]
MOST = 3


def somebody(number: int, *, until: float = 100.0, session: str = "") -> AuthResult:
    user = User(id=UserId(number), realm_id=RealmId(1), email="", full_name="")
    return AuthResult(user, known_until=until, session=session)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 5), st.integers(1, 9), st.sampled_from(["a", "b"])),
        st.tuples(st.just("get"), st.integers(0, 5), st.integers(0, 9), st.just("")),
        st.tuples(st.just("drop"), st.just(0), st.just(0), st.sampled_from(["a", "b"])),
    ),
    max_size=40,
)


@given(steps=STEPS)
def test_it_knows_what_a_plain_list_would(steps: list[tuple[str, int, int, str]]) -> None:
    """The model: pairs in the order of their last use, cut to the newest, of which the outdated are none."""
    remembered = Remembered(most=MOST)
    model: list[tuple[int, AuthResult]] = []
    for what, number, time, session in steps:
        if what == "put":
            result = somebody(number, until=time, session=session)
            remembered.put(KEYS[number], result)
            model = [*(pair for pair in model if pair[0] != number), (number, result)][-MOST:]
        elif what == "drop":
            remembered.drop(session)
            model = [pair for pair in model if pair[1].session != session]
        else:
            found = [pair for pair in model if pair[0] == number]
            model = [pair for pair in model if pair[0] != number]
            found = [pair for pair in found if time < pair[1].known_until]
            model += found
            assert remembered.get(KEYS[number], time) == (found[0][1] if found else None)
        assert len(remembered) == len(model)


@given(
    first=st.lists(
        st.none() | st.text(st.characters(exclude_characters="\0"), max_size=5), min_size=1, max_size=3
    ),
    second=st.lists(
        st.none() | st.text(st.characters(exclude_characters="\0"), max_size=5), min_size=1, max_size=3
    ),
)
def test_different_texts_have_different_digests(first: list[str | None], second: list[str | None]) -> None:
    """Nothing can be moved from one text into another, and a text that is missing is not an empty one."""
    assert (digest_of(*first) == digest_of(*second)) == (first == second)


def test_a_digest_does_not_hold_the_text() -> None:
    assert b"secret" not in digest_of("secret")
