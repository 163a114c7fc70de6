"""The kinds of value: what each reads from text, and what fits."""

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire._text import show
from tidewire.config.types import (
    Address,
    Budget,
    Choice,
    File,
    Flag,
    Integer,
    InvalidValue,
    Kind,
    ListOf,
    Text,
    toml_value,
)

KINDS: tuple[Kind, ...] = (
    Text(),
    Choice(("a", "b")),
    Flag(),
    Integer(),
    Integer(minimum=1, maximum=9),
    Budget(),
    File(),
    File(optional=True),
    ListOf(Text()),
    ListOf(Address()),
)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Text(), "plain words", "plain words"),
        (Text(), '"quoted"', "quoted"),
        (Text(), "'quoted'", "quoted"),
        (Text(), '"half', '"half'),
        (Text(), '"a" and "b"', '"a" and "b"'),
        (Text(), "17", "17"),
        (Text(), "", ""),
        (Choice(("json", "console")), '"json"', "json"),
        (Flag(), "true", True),
        (Integer(), "1_000", 1000),
        (Budget(), "auto", "auto"),
        (Budget(), '"auto"', "auto"),
        (Budget(), "17", 17),
        (Budget(), "512MB", 512_000_000),
        (Budget(), '"2 GiB"', 2 * 2**30),
        (Budget(), "0", 0),
        (File(), "some/where", Path("some/where")),
        (File(optional=True), "", None),
        (ListOf(Text()), '["a", "b,c"]', ("a", "b,c")),
        (ListOf(Text()), " a , 'b',", ("a", "b")),
        (ListOf(Text()), "", ()),
        (ListOf(Address()), "10.0.0.0/8,::1", tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "::1")))),
    ],
)
def test_text_is_read_as_the_kind_wants_it(kind: Kind, text: str, value: object) -> None:
    assert kind.fit(kind.read(text)) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Text(), 17),
        (Text(pattern=r"\S+"), ""),
        (Choice(("a", "b")), "c"),
        (Choice(("a", "b")), ["a"]),
        (Flag(), 1),
        (Flag(), "true"),
        (Integer(), True),
        (Integer(), 1.0),
        (Integer(), "17"),
        (Integer(), -1),
        (Integer(maximum=9), 10),
        (Budget(), "some"),
        (Budget(), -1),
        (Budget(), "512"),
        (Budget(), "1.5GB"),
        (Budget(), "512 M"),
        (Budget(), True),
        (File(), ""),
        (File(), "a\0b"),
        (File(), 1),
        (ListOf(Text()), "a"),
        (ListOf(Text()), [1]),
        (ListOf(Address()), ["10.0.0.1/8"]),
        (ListOf(Address()), ["localhost"]),
        (ListOf(Address()), [7]),
    ],
)
def test_a_value_of_another_kind_is_refused(kind: Kind, value: object) -> None:
    with pytest.raises(InvalidValue) as caught:
        kind.fit(value)
    assert caught.value.expected == kind.expected
    assert caught.value.found


@given(kind=st.sampled_from(KINDS), text=st.text())
def test_no_text_brings_anything_but_a_value_or_a_misfit(kind: Kind, text: str) -> None:
    value = kind.read(text)
    try:
        kind.fit(value)
    except InvalidValue as misfit:
        assert misfit.expected == kind.expected  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize("text", ["1\nother = 2", "[" * 5000, "9" * 5000, "", "2020-99-99"])
def test_text_that_is_not_one_toml_value_stays_text(text: str) -> None:
    assert toml_value(text) == text


def test_a_value_is_shown_as_toml_and_cut_when_long() -> None:
    assert show(["a", True, 1]) == '["a", true, 1]'
    assert show("é") == '"é"'
    assert len(show("x" * 500)) < 100
