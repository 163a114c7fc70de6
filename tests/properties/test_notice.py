"""Notices: whatever arrives is understood or refused, and a notice's form doesn't matter."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.events import Json
from support.json_values import JSON_VALUES, TEXT
from tidewire.core.errors import InvalidNotice
from tidewire.core.events.encoding import decode_body, encode_body
from tidewire.core.notices.notice import MAX_ID, Notice, decode_notice
from tidewire.core.notices.request_body import decode_notices

EVENTS = st.builds(
    lambda members, kind: {**members, "type": kind},
    st.dictionaries(TEXT, JSON_VALUES, max_size=4),
    st.sampled_from(["deploy", "update_message", "ü"]),
)
NOTICES = st.fixed_dictionaries(
    {"event": EVENTS, "users": st.lists(st.integers(0, MAX_ID), max_size=4)},
    optional={
        "id": st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128),
        "realm_id": st.integers(0, MAX_ID),
        "traceparent": st.text(st.characters(exclude_categories=["Cs"])),
    },
)


def plain(parsed: Notice) -> tuple[Any, ...]:
    """All that a notice says."""
    return (parsed.event, parsed.kind, parsed.users, parsed.id, parsed.realm_id, parsed.digest)


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b'{"event":{"type":"x"},"users":[1],"id":"\xff"}')
@example(b'{"event":{"type":"\\ud800"},"users":[1]}')
@example(b'[{"event":{"type":"x"},"users":[1]},\xff]')
@example(b"\xff\n{}")
@example(b"[" * 100_000)
@example(b"{\n" * 100_000)
def test_any_bytes_are_notices_or_an_invalid_notice(body: bytes) -> None:
    for decode in (decode_notice, decode_notices):
        with suppress(InvalidNotice):
            decode(body)


@given(st.data())
def test_a_damaged_notice_is_refused_or_understood(data: st.DataObject) -> None:
    raw = bytearray(json.dumps(data.draw(NOTICES)).encode())
    for _step in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        parsed = decode_notice(bytes(raw))
    except InvalidNotice:
        return
    encode_body(parsed.event)


@given(NOTICES)
def test_a_notice_says_what_was_written(written: Json) -> None:
    parsed = decode_notice(json.dumps(written).encode())
    assert parsed.event == written["event"]
    assert list(parsed.users) == list(dict.fromkeys(written["users"]))
    assert (parsed.id, parsed.realm_id) == (written.get("id"), written.get("realm_id"))
    expected = {key: value for key, value in written["event"].items() if key != "id"}
    assert decode_body(encode_body(parsed.event)) == expected


def _reversed(value: Any) -> Any:
    """The same JSON with the keys of every object in another order."""
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(inner) for inner in value] if isinstance(value, list) else value


@given(NOTICES, st.text(max_size=5).map(lambda text: text.encode("utf-8", "replace").decode()))
def test_a_digest_ignores_spacing_key_order_and_the_trace(written: Json, trace: str) -> None:
    written["id"] = "same"
    other = {**_reversed(written), "traceparent": trace}
    first = decode_notice(json.dumps(written).encode())
    second = decode_notice(json.dumps(other, indent=3, ensure_ascii=False).encode())
    assert first.digest == second.digest != b""


@given(NOTICES, NOTICES)
def test_a_digest_tells_other_content_apart(one: Json, two: Json) -> None:
    one["id"] = two["id"] = "same"
    contents = [
        json.dumps([each["event"], each["users"], each.get("realm_id")], sort_keys=True)
        for each in (one, two)
    ]
    digests = [decode_notice(json.dumps(each).encode()).digest for each in (one, two)]
    assert (contents[0] == contents[1]) == (digests[0] == digests[1])


def _pretty(notices: list[Json]) -> bytes:
    return b"\n".join(json.dumps(each, indent=2).encode() for each in notices)


FORMS: dict[str, Callable[[list[Json]], bytes]] = {
    "list": lambda notices: json.dumps(notices).encode(),
    "pretty list": lambda notices: json.dumps(notices, indent=2).encode(),
    "lines": lambda notices: b"\n".join(json.dumps(each).encode() for each in notices),
    "CRLF and blank lines": lambda notices: (
        b"\r\n\r\n".join(json.dumps(each).encode() for each in notices) + b"\r\n"
    ),
    "blank first": lambda notices: b"\n \n" + b"\n\t\n".join(json.dumps(each).encode() for each in notices),
}


@pytest.mark.parametrize("form", FORMS)
@given(notices=st.lists(NOTICES, max_size=4))
def test_a_batch_may_come_in_any_form(form: str, notices: list[Json]) -> None:
    parsed = decode_notices(FORMS[form](notices))
    one_by_one = [decode_notice(json.dumps(each).encode()) for each in notices]
    assert [plain(each) for each in parsed] == [plain(each) for each in one_by_one]
    assert [plain(decode_notice(each.raw)) for each in parsed] == [plain(each) for each in parsed]


@given(NOTICES)
def test_one_notice_may_be_pretty_printed(written: Json) -> None:
    (parsed,) = decode_notices(_pretty([written]))
    assert plain(parsed) == plain(decode_notice(json.dumps(written).encode()))


@given(st.lists(NOTICES, min_size=1, max_size=4), st.data())
def test_a_refusal_says_which_notice_is_wrong(notices: list[Json], data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(notices) - 1))
    notices[position] = {**notices[position], "surprise": 1}
    for form in ("list", "lines"):
        with pytest.raises(InvalidNotice) as caught:
            decode_notices(FORMS[form](notices))
        assert caught.value.data["index"] == position
