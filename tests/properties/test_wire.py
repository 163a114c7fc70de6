"""Splicing JSON equals encoding it from scratch (D2): the licence of `core/events/encoding.py`."""

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from support.events import Json, decode
from support.json_values import JSON_VALUES, TEXT
from tidewire.core.events.encoding import (
    ANSWER_FRAME,
    decode_body,
    encode_answer,
    encode_body,
    encode_entry,
    encode_suffix,
    entry_size,
)

KEYS = st.sampled_from(["id", "type", "op", '"', "}", ',"id":', "ü", ""]) | TEXT
MEMBERS = st.dictionaries(KEYS, JSON_VALUES, max_size=5)
EVENTS = st.builds(lambda members, kind: {**members, "type": kind}, MEMBERS, TEXT)
IDS = st.integers(0, 2**63 - 1)
ENTRIES = st.tuples(
    IDS, EVENTS, st.dictionaries(st.sampled_from(["flags", "local_message_id", "x"]), JSON_VALUES)
)


def expected(event_id: int, event: Json, suffix: Json) -> Json:
    """What a client is to see."""
    return {**{key: value for key, value in event.items() if key != "id"}, **suffix, "id": event_id}


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 and 1.0 and true are three things."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@given(EVENTS, IDS)
def test_an_entry_equals_the_event_encoded_from_scratch(event: Json, event_id: int) -> None:
    body = encode_body(event)
    scratch = msgspec.json.encode(expected(event_id, event, {}))
    assert encode_entry((event_id, body, b"")) == scratch
    assert same(decode(scratch), expected(event_id, event, {}))


@given(ENTRIES)
def test_a_suffix_is_spliced_in_behind_the_body(entry: tuple[int, Json, Json]) -> None:
    event_id, event, suffix = entry
    event = {key: value for key, value in event.items() if key not in suffix}
    spliced = encode_entry((event_id, encode_body(event), encode_suffix(suffix)))
    assert spliced == msgspec.json.encode(expected(event_id, event, suffix))


@given(st.lists(ENTRIES, max_size=4), TEXT)
def test_an_answer_equals_the_envelope_encoded_from_scratch(
    entries: list[tuple[int, Json, Json]], queue_id: str
) -> None:
    spliced = [(event_id, encode_body(event), b"") for event_id, event, _ in entries]
    scratch = {
        "result": "success",
        "msg": "",
        "events": [expected(event_id, event, {}) for event_id, event, _ in entries],
        "queue_id": queue_id,
    }
    assert encode_answer(queue_id, spliced) == msgspec.json.encode(scratch) + b"\n"


@given(EVENTS)
def test_a_body_is_decoded_to_the_event_without_its_id(event: Json) -> None:
    assert same(decode_body(encode_body(event)), {key: event[key] for key in event if key != "id"})
    assert encode_body(decode_body(encode_body(event))) == encode_body(event)


@given(EVENTS)
def test_encoding_leaves_the_event_alone(event: Json) -> None:
    before = json.dumps(event)
    encode_body(event)
    assert json.dumps(event) == before


@given(st.lists(ENTRIES, min_size=1, max_size=4))
def test_sizes_are_never_smaller_than_what_is_sent(entries: list[tuple[int, Json, Json]]) -> None:
    spliced = [(event_id, encode_body(event), encode_suffix(suffix)) for event_id, event, suffix in entries]
    assert len(encode_answer("q" * 36, spliced)) <= ANSWER_FRAME + sum(map(entry_size, spliced))
