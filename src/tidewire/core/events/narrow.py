"""The message filter of a queue: a list of (operator, operand) terms, compiled once into one test.

A term is a test on the message as the client would get it and on the recipient's flags. All terms must
hold. Unknown operators and operands are refused at registration (R12.4, D-29).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

from tidewire.core.errors import BadRequest

Term: TypeAlias = tuple[str, str]
Message: TypeAlias = Mapping[str, Any]
Flags: TypeAlias = Collection[str]
Predicate: TypeAlias = Callable[[Message, Flags], bool]

CHANNEL_OPERATORS = frozenset({"channel", "stream"})
"""The present and the older name of the same operator."""

RESOLVED_MARK = "\N{HEAVY CHECK MARK} "
"""Topics that begin with this are resolved (R12.2)."""


def compile_narrow(terms: Sequence[Term]) -> Predicate | None:
    """One predicate for all terms, or None when there are none and everything passes.

    Raises:
        BadRequest: an operator or operand that is not supported (R12.4).
    """
    tests = tuple(_compile_term(operator, operand) for operator, operand in essential(terms))
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda message, flags: all(test(message, flags) for test in tests)


def essential(terms: Sequence[Term]) -> tuple[Term, ...]:
    """As few terms as hold for the same messages, in an order of their own: one of each operator, and of each `is`.

    A thousand terms could be asked of every message. But a message has one channel, one topic and one sender: of two
    terms that name different ones at most one holds, so with two of them nothing passes, whatever the rest says.

    Raises:
        BadRequest: an operator or operand that is not supported (R12.4).
    """
    found: dict[str, Term] = {}
    is_empty = False
    for term in terms:
        operator, operand = _plain(*term)
        key = operator if operator != "is" else f"is:{operand}"
        known = found.setdefault(key, (operator, operand))
        is_empty = is_empty or known != (operator, operand)
    return NOTHING_PASSES if is_empty else tuple(found[key] for key in sorted(found))


NOTHING_PASSES: tuple[Term, ...] = (("is", "dm"), ("is", "resolved"))
"""Terms of which never both hold: a direct message has no topic."""


def _plain(operator: str, operand: str) -> Term:
    """The term in its present words, and as it is compared."""
    if operator == "is":
        _is(operand)
        return operator, IS_TODAY.get(operand, operand)
    if operator not in OPERATORS:
        raise BadRequest(f"Operator {operator} not supported.")
    return ("channel" if operator in CHANNEL_OPERATORS else operator), operand.lower()


def channel_operand(terms: Sequence[Term]) -> str | None:
    """The channel, in small letters, outside of which the terms can't hold; None when they name none."""
    return next((operand.lower() for operator, operand in terms if operator in CHANNEL_OPERATORS), None)


def _compile_term(operator: str, operand: str) -> Predicate:
    make = OPERATORS.get(operator)
    if make is None:
        raise BadRequest(f"Operator {operator} not supported.")
    return make(operand)


def _is_channel_message(message: Message) -> bool:
    return message.get("type") == "stream"


def _topic(message: Message) -> str:
    """`topic` where there is one, else the older `subject` (R12.3)."""
    topic = message["topic"] if "topic" in message else message.get("subject")
    return topic if isinstance(topic, str) else ""


def _same_text(value: object, folded: str) -> bool:
    return isinstance(value, str) and value.lower() == folded


def _channel(operand: str) -> Predicate:
    name = operand.lower()
    return lambda message, _flags: (
        _is_channel_message(message) and _same_text(message.get("display_recipient"), name)
    )


def _topic_is(operand: str) -> Predicate:
    name = operand.lower()
    return lambda message, _flags: _is_channel_message(message) and _topic(message).lower() == name


def _sender(operand: str) -> Predicate:
    email = operand.lower()
    return lambda message, _flags: _same_text(message.get("sender_email"), email)


def _is(operand: str) -> Predicate:
    test = IS_OPERANDS.get(operand)
    if test is None:
        raise BadRequest(f"Operand {operand} not supported.")
    return test


def _is_direct(message: Message, _flags: Flags) -> bool:
    return message.get("type") == "private"


def _is_starred(_message: Message, flags: Flags) -> bool:
    return "starred" in flags


def _is_unread(_message: Message, flags: Flags) -> bool:
    return "read" not in flags


def _is_mentioned(_message: Message, flags: Flags) -> bool:
    return "mentioned" in flags


def _is_resolved(message: Message, _flags: Flags) -> bool:
    return _is_channel_message(message) and _topic(message).startswith(RESOLVED_MARK)


IS_OPERANDS: Mapping[str, Predicate] = MappingProxyType(
    {
        "dm": _is_direct,
        "private": _is_direct,
        "starred": _is_starred,
        "unread": _is_unread,
        "mentioned": _is_mentioned,
        "alerted": _is_mentioned,
        "resolved": _is_resolved,
    }
)

IS_TODAY: Mapping[str, str] = MappingProxyType({"private": "dm", "alerted": "mentioned"})
"""Older words, and their present ones."""

OPERATORS: Mapping[str, Callable[[str], Predicate]] = MappingProxyType(
    {
        **dict.fromkeys(CHANNEL_OPERATORS, _channel),
        "topic": _topic_is,
        "sender": _sender,
        "is": _is,
    }
)
