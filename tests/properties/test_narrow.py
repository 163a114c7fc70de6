"""The narrow: terms are joined by and, and any message is survived (section 12)."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.events import Json
from support.json_values import JSON_VALUES
from tidewire.core.errors import BadRequest
from tidewire.core.events.narrow import (
    IS_OPERANDS,
    OPERATORS,
    RESOLVED_MARK,
    Term,
    channel_operand,
    compile_narrow,
)

WORDS = st.sampled_from(["Ops", "ops", "OPS", "deploy", "Déploy", "dÉPLOY", "", RESOLVED_MARK + "deploy"])
TERMS = st.one_of(
    st.tuples(st.sampled_from(["channel", "stream", "topic", "sender"]), WORDS),
    st.tuples(st.just("is"), st.sampled_from(sorted(IS_OPERANDS))),
)
FLAGS = st.lists(st.sampled_from(["read", "starred", "mentioned"]), unique=True).map(tuple)
KEYS = ["type", "display_recipient", "topic", "subject", "sender_email"]
MESSAGES = st.dictionaries(
    st.sampled_from(KEYS), WORDS | st.sampled_from(["stream", "private"]) | JSON_VALUES
)


def holds(terms: list[Term], message: Json, flags: tuple[str, ...]) -> bool:
    """Whether a narrow takes a message; without terms it takes all."""
    predicate = compile_narrow(terms)
    return True if predicate is None else predicate(message, flags)


def naive(term: Term, message: Json, flags: tuple[str, ...]) -> bool:
    """R12.2 and R12.3, read aloud."""
    operator, operand = term
    channel = message.get("type") == "stream"
    topic = message["topic"] if "topic" in message else message.get("subject")
    topic = topic if isinstance(topic, str) else ""
    tests = {
        "is/dm": message.get("type") == "private",
        "is/private": message.get("type") == "private",
        "is/starred": "starred" in flags,
        "is/unread": "read" not in flags,
        "is/mentioned": "mentioned" in flags,
        "is/alerted": "mentioned" in flags,
        "is/resolved": channel and topic.startswith("✔ "),
    }
    compared = {"channel": "display_recipient", "stream": "display_recipient", "sender": "sender_email"}
    if operator == "is":
        return tests[f"is/{operand}"]
    if operator == "topic":
        return channel and topic.lower() == operand.lower()
    value = message.get(compared[operator])
    equal = isinstance(value, str) and value.lower() == operand.lower()
    return equal and (channel or operator == "sender")


@given(st.lists(TERMS, max_size=3), MESSAGES, FLAGS)
def test_what_holds_went_to_the_channel_that_the_terms_name_d_27(
    terms: list[Term], message: Json, flags: tuple[str, ...]
) -> None:
    channel = channel_operand(terms)
    assert (channel is None) == all(operator not in {"channel", "stream"} for operator, _ in terms)
    if channel is not None and holds(terms, message, flags):
        assert message["display_recipient"].lower() == channel


@given(st.lists(TERMS, max_size=3), MESSAGES, FLAGS)
def test_all_terms_must_hold_r12_1_r12_2(terms: list[Term], message: Json, flags: tuple[str, ...]) -> None:
    assert holds(terms, message, flags) == all(naive(term, message, flags) for term in terms)


@given(st.lists(TERMS, max_size=3), MESSAGES, FLAGS)
def test_the_order_of_terms_does_not_matter(terms: list[Term], message: Json, flags: tuple[str, ...]) -> None:
    assert len({holds(list(order), message, flags) for order in permutations(terms)}) == 1


@given(WORDS, MESSAGES, FLAGS)
def test_stream_is_the_old_name_of_channel_r12_8(word: str, message: Json, flags: tuple[str, ...]) -> None:
    assert holds([("stream", word)], message, flags) == holds([("channel", word)], message, flags)


@given(st.text(), st.text())
def test_what_is_not_known_is_refused_r12_4(operator: str, operand: str) -> None:
    if operator not in OPERATORS:
        with pytest.raises(BadRequest) as caught:
            compile_narrow([(operator, operand)])
        assert caught.value.message == f"Operator {operator} not supported."
    if operand not in IS_OPERANDS:
        with pytest.raises(BadRequest) as caught:
            compile_narrow([("is", operand)])
        assert caught.value.message == f"Operand {operand} not supported."
