"""Reading long lists in chunks gives what reading them at once gives, and no chunk is long."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.json_values import JSON_VALUES
from tidewire.core.notices.json_list import BETWEEN_ANY, BETWEEN_OBJECTS, CHUNK_BYTES, ListReader, TooLong

DECODER = msgspec.json.Decoder(list[Any])
MEGABYTE = 1_000_000


def read(text: bytes, *, most: int = MEGABYTE, between: Any = BETWEEN_ANY) -> tuple[list[Any], list[int]]:
    """The elements, and the lengths of what was given to the decoder with success."""
    lengths: list[int] = []

    def decode(chunk: bytes) -> list[Any]:
        elements = DECODER.decode(chunk)
        lengths.append(len(chunk))
        return elements

    reader = ListReader(text, decode, between=between, most=most)
    return [element for chunk in reader.chunks() for element in chunk], lengths


ELEMENTS: dict[str, bytes] = {
    "objects": b'{"event":{"type":"a"},"users":[1,2]}',
    "numbers": b"1234567",
    "texts": b'"},{\\"},{"',
    "lists": b'[{"a":1},{"a":[1,2]},3]',
    "objects with what looks like their end": b'{"a":"},{","b":[{},{}],"c":{"d":1},"e":{}}',
    "spread objects": b'{\n  "a": [\n    {},\n    {}\n  ]\n}\n',
    "long texts": b'"%b"' % (b'\\\\\\",' * 10_000),
}


@pytest.mark.parametrize("name", ELEMENTS)
@pytest.mark.parametrize("between", [BETWEEN_OBJECTS, BETWEEN_ANY])
@pytest.mark.parametrize("comma", [b",", b" ,\n\t"])
def test_a_long_list_is_read_in_chunks(name: str, between: Any, comma: bytes) -> None:
    element = ELEMENTS[name]
    text = b"[" + comma.join([element] * (300_000 // len(element))) + b"]  \n"
    elements, lengths = read(text, between=between)
    assert elements == json.loads(text)
    assert max(lengths) <= 2 * CHUNK_BYTES + max(len(element), 1000)


@settings(deadline=None, max_examples=50)
@given(
    values=st.lists(JSON_VALUES, max_size=20),
    times=st.integers(1, 400),
    space=st.sampled_from(["", " ", "\n"]),
)
def test_chunks_are_the_list(values: list[Any], times: int, space: str) -> None:
    text = json.dumps(values * times, separators=(f",{space}", f":{space}")).encode()
    elements, _ = read(text)
    assert elements == DECODER.decode(text)


@pytest.mark.parametrize(
    "end",
    [b"", b",]", b"]]", b"]x", b",", b"}", b'"', b",1", b"],", b",,1]"],
    ids=lambda end: end.decode() or "none",
)
@pytest.mark.parametrize("element", [b"{}", b"1", b'"a"'], ids=["objects", "numbers", "texts"])
def test_what_is_no_list_is_refused(element: bytes, end: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        read(b"[" + b",".join([element] * 100_000) + end)


@pytest.mark.parametrize(
    "element", [b'"%b"' % (b"x" * MEGABYTE), b"[%b]" % b",".join([b"{}"] * 400_000), b"[" * MEGABYTE]
)
@pytest.mark.parametrize("after", [b"]", b",1]", b"", b" " * MEGABYTE])
def test_an_element_that_is_too_long_is_refused_and_counted(element: bytes, after: bytes) -> None:
    """Those before it have come by then, so that whoever counts them knows which it is."""
    known = b",".join([b"{}"] * 10_000)
    reader = ListReader(
        b"[" + known + b"," + element + after, DECODER.decode, between=BETWEEN_ANY, most=MEGABYTE // 2
    )
    counts: list[int] = []

    def read_on() -> None:
        counts.extend(len(chunk) for chunk in reader.chunks())

    with pytest.raises(TooLong):
        read_on()
    assert sum(counts) == 10_000


def test_an_element_of_the_bound_is_taken() -> None:
    element = b'"%b"' % (b"x" * (MEGABYTE - 3 * CHUNK_BYTES))
    elements, _ = read(b"[1,%b,2]" % element)
    assert [elements[0], len(elements[1]), elements[2]] == [1, len(element) - 2, 2]
