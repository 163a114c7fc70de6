"""Reading requests: bounds come before reading, and whatever can't be read is refused with a sentence."""

from typing import Any

import pytest

from support.raw_http import Answer
from support.site import LocalSite
from tidewire.http.forms import MAX_FIELDS
from tidewire.http.parameters import MAX_FORM_BYTES

URLENCODED = "application/x-www-form-urlencoded"


def multipart(*fields: tuple[bytes, bytes], boundary: bytes = b"B") -> bytes:
    parts = [
        b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (boundary, name, value)
        for name, value in fields
    ]
    return b"".join([*parts, b"--%b--\r\n" % boundary])


async def register(local: LocalSite, body: bytes | list[bytes], content_type: str, **request: Any) -> Answer:
    headers = {"content-type": content_type, **request.pop("headers", {})}
    return await local.ask("ada", "POST", "/api/v1/register", body=body, headers=headers, **request)


async def test_a_urlencoded_form_gives_parameters(local: LocalSite) -> None:
    answer = await register(local, b"odd=1&x=%C3%BC&blank=", URLENCODED)
    assert answer.json["ignored_parameters_unsupported"] == ["blank", "odd", "x"]


async def test_a_content_type_is_matched_ignoring_case_and_parameters(local: LocalSite) -> None:
    answer = await register(local, b"odd=1", "Application/X-WWW-Form-Urlencoded ; charset=UTF-8")
    assert answer.json["ignored_parameters_unsupported"] == ["odd"]


async def test_a_multipart_form_gives_parameters_and_the_text_null_is_absent(local: LocalSite) -> None:
    """What zulip-js sends (R6.87, C27)."""
    body = multipart((b"event_types", b"null"), ("größe".encode(), b"1"))
    answer = await register(local, body, "multipart/form-data; boundary=B")
    assert (answer.status, answer.json["ignored_parameters_unsupported"]) == (200, ["größe"])
    descriptor = local.engine.shard.find(answer.json["queue_id"])
    assert descriptor is not None
    assert descriptor.spec.event_types is None


async def test_a_body_of_another_kind_gives_no_parameters(local: LocalSite) -> None:
    answer = await register(local, b'{"event_types": 1}', "application/json")
    assert (answer.status, "ignored_parameters_unsupported" in answer.json) == (200, False)


async def test_form_wins_over_query_and_the_last_of_a_repeated_parameter_counts(local: LocalSite) -> None:
    query = b"queue_id=first&queue_id=query"
    answer = await local.ask("ada", "DELETE", "/api/v1/events", query=query)
    assert answer.json["queue_id"] == "query"
    form = {"queue_id": "form"}
    answer = await local.ask("ada", "DELETE", "/api/v1/events", query=query, form=form)
    assert answer.json["queue_id"] == "form"


async def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_read(local: LocalSite) -> None:
    exchange = local.begin(
        "ada",
        "POST",
        "/api/v1/register",
        body=b"x",
        headers={"content-type": URLENCODED, "content-length": str(MAX_FORM_BYTES + 1)},
    )
    answer = await exchange.answer()
    assert (answer.status, answer.json["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert exchange.unread == 1


@pytest.mark.parametrize("content_type", [URLENCODED, "multipart/form-data; boundary=B"])
async def test_a_chunked_body_is_refused_as_soon_as_it_is_too_large(
    local: LocalSite, content_type: str
) -> None:
    chunk = b"x" * (MAX_FORM_BYTES // 4)
    head = multipart((b"a", b"")).partition(b"\r\n--B--")[0]
    exchange = local.begin(
        "ada", "POST", "/api/v1/register", body=[head, *[chunk] * 8], headers={"content-type": content_type}
    )
    answer = await exchange.answer()
    assert (answer.status, answer.json["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert exchange.unread >= 4


async def test_a_body_of_exactly_the_bound_is_read(local: LocalSite) -> None:
    body = b"odd=" + b"x" * (MAX_FORM_BYTES - 4)
    assert (await register(local, body, URLENCODED)).status == 200


@pytest.mark.parametrize("body", [b"a=%ff", b"%ff=1", b"a=\xff"])
async def test_a_form_that_is_not_utf8_is_refused(local: LocalSite, body: bytes) -> None:
    answer = await register(local, body, URLENCODED)
    assert (answer.status, answer.json["code"]) == (400, "BAD_REQUEST")
    assert "UTF-8" in answer.json["msg"]


@pytest.mark.parametrize("query", [b"a=%ff", b"%ed%a0%80=1", b"a=\xff"])
async def test_a_query_string_that_is_not_utf8_is_refused(local: LocalSite, query: bytes) -> None:
    answer = await local.ask("ada", "GET", "/api/v1/users/me", query=query)
    assert (answer.status, answer.json["code"]) == (400, "BAD_REQUEST")


async def test_too_many_fields_are_refused_wherever_they_are(local: LocalSite) -> None:
    pairs = [b"a%d=1" % number for number in range(MAX_FIELDS + 1)]
    answer = await local.ask("ada", "GET", "/api/v1/users/me", query=b"&".join(pairs))
    assert answer.status == 400
    assert (await register(local, b"&".join(pairs), URLENCODED)).status == 400
    body = multipart(*[(pair, b"1") for pair in pairs])
    answer = await register(local, body, "multipart/form-data; boundary=B")
    assert (answer.status, "Too many fields" in answer.json["msg"]) == (400, True)


async def test_as_many_fields_as_allowed_are_taken(local: LocalSite) -> None:
    body = multipart(*[(b"a%d" % number, b"1") for number in range(MAX_FIELDS)])
    answer = await register(local, body, "multipart/form-data; boundary=B")
    assert len(answer.json["ignored_parameters_unsupported"]) == MAX_FIELDS


async def test_a_file_in_a_form_is_refused(local: LocalSite) -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="a"; filename="f"\r\n\r\nx\r\n--B--\r\n'
    answer = await register(local, body, "multipart/form-data; boundary=B")
    assert (answer.status, "Too many files" in answer.json["msg"]) == (400, True)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary="\\""',
        "multipart/form-data; boundary=other",
    ],
)
async def test_a_multipart_form_that_cant_be_taken_apart_is_refused(
    local: LocalSite, content_type: str
) -> None:
    answer = await register(local, multipart((b"a", b"1")), content_type)
    assert (answer.status, answer.json["code"]) == (400, "BAD_REQUEST")


async def test_a_quoted_boundary_is_understood(local: LocalSite) -> None:
    body = multipart((b"odd", b"1"), boundary=b"a b;c=d")
    answer = await register(local, body, 'multipart/form-data; boundary="a b;c=d"')
    assert answer.json["ignored_parameters_unsupported"] == ["odd"]


@pytest.mark.parametrize(
    ("charset", "value"),
    [
        ("unicode_escape", b"\\ud800"),
        ("undefined", b"x"),
        ("punycode", b"xn--\xff-"),
        ("idna", b"xn--\xff"),
        ("no-such-charset", b"\xff"),
        ("utf-8", b"\xff\xfe"),
        ("utf-16", b"\xff"),
    ],
)
async def test_multipart_fields_are_utf8_whatever_charset_the_sender_names(
    local: LocalSite, charset: str, value: bytes
) -> None:
    """No charset of Python's may fail in its own way, or smuggle in text that is no Unicode (R0.4)."""
    answer = await local.ask(
        "ada",
        "DELETE",
        "/api/v1/events",
        body=multipart((b"queue_id", value)),
        headers={"content-type": f"multipart/form-data; boundary=B; charset={charset}"},
    )
    assert answer.status == 400
    if value.isascii():
        assert (answer.json["code"], answer.json["queue_id"]) == ("BAD_EVENT_QUEUE_ID", value.decode())
    else:
        assert answer.json["msg"] == "The form is not UTF-8"


async def test_a_request_that_breaks_off_in_its_body_is_no_failure(local: LocalSite) -> None:
    for content_type in (URLENCODED, "multipart/form-data; boundary=B"):
        exchange = local.begin(
            "ada", "POST", "/api/v1/register", body=[], headers={"content-type": content_type}
        )
        exchange.take_back()
        exchange.disconnect()
        assert (await exchange.answer()).status == 400
    assert local.log == []
    assert local.engine.shard.queues() == 0
