"""The narrow, by example (section 12)."""

import pytest

from support.events import Json
from tidewire.core.errors import BadRequest
from tidewire.core.narrow import compile_narrow

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
