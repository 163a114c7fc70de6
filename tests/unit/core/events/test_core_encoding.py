"""Bytes, by example; `tests/properties/test_wire.py` has the rule."""

from tidewire.core.events.encoding import encode_answer, encode_body, encode_entry, encode_suffix, event_type


def test_an_answer_is_the_success_envelope_with_events_and_queue_id_r6_39() -> None:
    entry = (2, encode_body({"type": "heartbeat"}), b"")
    assert encode_answer("q", [entry]) == (
        b'{"result":"success","msg":"","events":[{"type":"heartbeat","id":2}],"queue_id":"q"}\n'
    )
    assert encode_answer("q", []) == b'{"result":"success","msg":"","events":[],"queue_id":"q"}\n'


def test_an_events_own_id_is_dropped_d2() -> None:
    assert encode_entry((7, encode_body({"id": 99, "type": "x"}), b"")) == b'{"type":"x","id":7}'


def test_an_empty_suffix_is_nothing() -> None:
    assert encode_suffix({}) == b""
    assert encode_suffix({"flags": ["read"]}) == b',"flags":["read"]'


def test_a_queue_id_is_escaped() -> None:
    assert b'"queue_id":"\\"}"' in encode_answer('"}', [])


def test_the_type_of_an_entry_is_found_wherever_it_stands() -> None:
    event = {"a": {"type": "inner"}, "b": [{"type": "inner"}], "type": "outer"}
    assert event_type((3, encode_body(event), b',"flags":[]')) == "outer"
