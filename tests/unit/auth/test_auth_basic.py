"""The Authorization header (R6.2, R6.3)."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.auth.credentials import parse_authorization
from tidewire.core.errors import BadRequest, InvalidApiKey, Unauthorized, WireError

KEY = "k" * 32
UNREADABLE = "Invalid authorization header for basic auth"


def basic(pair: str | bytes, scheme: str = "Basic") -> str:
    raw = pair.encode() if isinstance(pair, str) else pair
    return f"{scheme} {b64encode(raw).decode()}"


def error(authorization: str | None) -> tuple[type[WireError], str]:
    with pytest.raises(WireError) as caught:
        parse_authorization(authorization)
    return type(caught.value), str(caught.value)


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_the_scheme_word_ignores_case(scheme: str) -> None:
    credentials = parse_authorization(basic(f"ada@demo.example:{KEY}", scheme))
    assert (credentials.email, credentials.api_key) == ("ada@demo.example", KEY)


def test_spaces_around_email_and_key_are_dropped() -> None:
    credentials = parse_authorization(basic(f" ada@demo.example : {KEY}\n"))
    assert (credentials.email, credentials.api_key) == ("ada@demo.example", KEY)


def test_no_header_is_not_logged_in() -> None:
    assert error(None) == (Unauthorized, "Not logged in: API authentication or user session required")


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic a b",
        "Basic !!!!",
        "Basic YQ",
        "Basic YTpi*",
        "Basic \xe9",
        basic("no colon"),
        basic(b"\xff:" + KEY.encode()),
    ],
)
def test_a_header_that_cannot_be_decoded_is_refused(authorization: str) -> None:
    assert error(authorization) == (Unauthorized, UNREADABLE)


@pytest.mark.parametrize("authorization", ["Bearer x", "Bearer", 'Digest username="a", realm="b"', "x"])
def test_another_scheme_is_refused(authorization: str) -> None:
    assert error(authorization) == (BadRequest, "This endpoint requires HTTP basic authentication.")


@pytest.mark.parametrize(
    "key", ["", "k" * 31, "k" * 33, "k" * 31 + "-", "k" * 31 + "é", "k" * 31 + "٣", "a:b"]
)
def test_a_key_of_another_form_is_malformed(key: str) -> None:
    assert error(basic(f"ada@demo.example:{key}")) == (InvalidApiKey, "Malformed API key")


@given(
    st.none()
    | st.text()
    | st.builds("Basic {}".format, st.text())
    | st.builds(basic, st.text() | st.binary())
    | st.builds(basic, st.builds("{}:{}".format, st.text(), st.from_regex(r"[A-Za-z0-9]{32}")))
)
def test_no_header_brings_anything_but_credentials_or_an_error_of_the_rule(authorization: str | None) -> None:
    try:
        credentials = parse_authorization(authorization)
    except (Unauthorized, InvalidApiKey):
        return
    except BadRequest as problem:
        assert problem.code == "BAD_REQUEST"  # noqa: PT017 - each outcome is right
        return
    assert len(credentials.api_key) == 32


def test_credentials_do_not_show_their_key() -> None:
    assert KEY not in repr(parse_authorization(basic(f"ada@demo.example:{KEY}")))
