"""The narrow, by example (section 12)."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.events import Json
from tidewire.core.errors import BadRequest
from tidewire.core.events.narrow import IS_OPERANDS, Predicate, Term, compile_narrow, essential

OPS: Json = {
    "type": "stream",
    "display_recipient": "Ops",
    "subject": "deploy",
    "sender_email": "user31@chat.example",
}


def test_the_example_of_r12_1() -> None:
    predicate = compile_narrow([("channel", "ops"), ("is", "mentioned")])
    assert predicate is not None
    assert predicate(OPS, ("mentioned",))
    assert not predicate(OPS, ())


def test_an_empty_narrow_is_none() -> None:
    assert compile_narrow([]) is None


def test_the_topic_is_read_from_topic_first_and_else_from_subject_r12_3() -> None:
    predicate = compile_narrow([("topic", "DEPLOY")])
    assert predicate is not None
    assert predicate(OPS, ())
    assert not predicate({**OPS, "topic": "other"}, ())
    assert not predicate({**OPS, "type": "private"}, ())


@pytest.mark.parametrize(
    "term", [("is", "followed"), ("is", "x"), ("near", "1"), ("has", "link"), ("Channel", "ops")]
)
def test_unsupported_terms_are_refused_r12_4_r12_5_d29(term: tuple[str, str]) -> None:
    with pytest.raises(BadRequest):
        compile_narrow([("is", "dm"), term])


def plain(terms: Sequence[Term]) -> Predicate:
    """Every term asked, one after the other."""
    tests = [compile_narrow([term]) for term in terms]
    return lambda message, flags: all(test(message, flags) for test in tests if test is not None)


TERMS = st.sampled_from(
    [
        *(("channel", "Général"), ("stream", "GÉNÉRAL"), ("channel", "other"), ("stream", "")),
        *(
            ("topic", "T"),
            ("topic", "t"),
            ("topic", "\N{HEAVY CHECK MARK} t"),
            ("sender", "A@b"),
            ("sender", "c@d"),
        ),
        *(("is", operand) for operand in IS_OPERANDS),
    ]
)
MESSAGES = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["stream", "private"]),
        "display_recipient": st.sampled_from(["général", "other", ""]),
        "subject": st.sampled_from(["t", "\N{HEAVY CHECK MARK} t", ""]),
        "sender_email": st.sampled_from(["a@B", "c@d"]),
    }
)


@given(
    terms=st.lists(TERMS, max_size=8),
    message=MESSAGES,
    flags=st.lists(st.sampled_from(["read", "starred", "mentioned"])),
)
def test_as_few_terms_as_hold_alike_hold_alike(
    terms: list[Term], message: dict[str, Any], flags: list[str]
) -> None:
    found = essential(terms)
    assert plain(found)(message, flags) == plain(terms)(message, flags)
    compiled = compile_narrow(terms)
    assert (compiled is None or compiled(message, flags)) == plain(terms)(message, flags)
    assert essential(found) == found
    assert essential(terms[::-1]) == found


def test_what_a_message_is_asked_does_not_grow_with_the_terms() -> None:
    operands = ["dm", "private", "starred", "unread", "mentioned", "alerted", "resolved"]
    every = [("is", operand) for operand in operands] + [("channel", "a"), ("topic", "b"), ("sender", "c")]
    assert len(essential(every * 100)) == 8
    assert len(essential([("topic", str(number)) for number in range(1000)])) == 2
    assert len(essential([("stream", "General"), ("channel", "general")] * 500)) == 1


def test_a_term_that_is_not_supported_is_refused_behind_any_others() -> None:
    with pytest.raises(BadRequest):
        essential([("topic", "a"), ("topic", "b"), ("has", "link")])
