"""The one rule for who asks: address, forwarding headers, origin, secret (R6.66, R6.67, D5, C25)."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest
from starlette.datastructures import Headers

from support.server_process import SECRET
from support.site import LocalSite
from tidewire.core.errors import AccessDenied, MissingParameter
from tidewire.http.app import INTERNAL as INTERNAL_ROUTES
from tidewire.http.security import FORWARDING_HEADERS, Access

LOOPBACK = ("127.0.0.0/8", "::1")


def access(trusted: Sequence[str] = (), internal: Sequence[str] = LOOPBACK) -> Access:
    return Access(
        secret="right",
        internal_from=[ip_network(text) for text in internal],
        trusted_proxies=[ip_network(text) for text in trusted],
    )


def headers(*lines: tuple[str, str]) -> Headers:
    return Headers(raw=[(name.lower().encode(), value.encode("latin-1")) for name, value in lines])


def is_internal(rule: Access, peer: str | None, *lines: tuple[str, str]) -> bool:
    try:
        rule.check_address(peer, headers(*lines))
    except AccessDenied:
        return False
    return True


@pytest.mark.parametrize(
    ("peer", "internal"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("::127.0.0.1", False),
        ("10.0.0.1", False),
        ("fe80::1%lo", False),
        ("", False),
        ("localhost", False),
        ("testclient", False),
        (None, False),
    ],
)
def test_only_addresses_of_internal_from_are_internal(peer: str | None, internal: bool) -> None:
    """R6.66."""
    assert is_internal(access(), peer) is internal


@pytest.mark.parametrize("name", sorted(FORWARDING_HEADERS))
@pytest.mark.parametrize("value", ["127.0.0.1", "", "for=127.0.0.1", "\xff"])
def test_a_forwarding_header_from_an_untrusted_peer_is_never_internal(name: str, value: str) -> None:
    """R6.67, D5: something stands between, and it does not say the truth to us."""
    assert not is_internal(access(), "127.0.0.1", (name, value))
    assert access().client_address("127.0.0.1", headers((name, value))) is None


@pytest.mark.parametrize("origin", ["http://127.0.0.1", "null", ""])
def test_a_request_with_an_origin_is_never_internal(origin: str) -> None:
    """D5: a browser sends it, on behalf of whatever page it shows."""
    assert not is_internal(access(), "127.0.0.1", ("origin", origin))


@pytest.mark.parametrize(
    ("forwarded_for", "address"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["127.0.0.1, 203.0.113.9"], "203.0.113.9"),
        (["127.0.0.1", "203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        (["127.0.0.1, 203.0.113.9, 10.0.0.3, 10.0.0.2"], "203.0.113.9"),
        (["::ffff:203.0.113.9"], "203.0.113.9"),
        (["2001:db8::7 , 10.0.0.2"], "2001:db8::7"),
        (["10.0.0.2"], None),
        ([""], None),
        (["unknown"], None),
        (["127.0.0.1, unknown"], None),
        (["127.0.0.1, 203.0.113.9:4711"], None),
        (["127.0.0.1,"], None),
    ],
)
def test_behind_trusted_proxies_the_last_address_they_didnt_add_counts(
    forwarded_for: list[str], address: str | None
) -> None:
    """R6.67: whatever the client itself wrote stands left of it and is never looked at."""
    rule = access(trusted=["10.0.0.0/8"])
    given = headers(*[("X-Forwarded-For", value) for value in forwarded_for])
    found = rule.client_address("10.0.0.1", given)
    assert found == (None if address is None else ip_address(address))
    assert not is_internal(rule, "10.0.0.1", *[("X-Forwarded-For", value) for value in forwarded_for])


@pytest.mark.parametrize(
    ("peer", "lines", "shown"),
    [
        ("192.0.2.7", [], "192.0.2.7"),
        ("10.0.0.1", [("X-Forwarded-For", "203.0.113.9")], "203.0.113.9"),
        ("192.0.2.7", [("X-Forwarded-For", "203.0.113.9")], "192.0.2.7"),
        ("192.0.2.7", [("Via", "1.1 x")], "192.0.2.7"),
        (None, [], "-"),
    ],
)
def test_the_log_shows_where_a_request_began_as_far_as_that_is_believed(
    peer: str | None, lines: list[tuple[str, str]], shown: str
) -> None:
    """R11.1."""
    rule = access(trusted=["10.0.0.0/8"])
    assert rule.shown_address(peer, headers(*lines)) == shown
    counted = rule.limited_address(peer, headers(*lines))
    assert str(counted or "-") == shown


def test_a_proxy_on_the_same_machine_makes_nobody_internal() -> None:
    """The usual set-up: nginx on loopback, which is both trusted and internal."""
    rule = access(trusted=["127.0.0.1", "::1"])
    assert is_internal(rule, "127.0.0.1")
    assert not is_internal(rule, "127.0.0.1", ("X-Forwarded-For", "203.0.113.9"))
    assert not is_internal(rule, "127.0.0.1", ("X-Forwarded-For", "127.0.0.1, 203.0.113.9"))
    assert not is_internal(rule, "::ffff:127.0.0.1", ("X-Forwarded-For", "127.0.0.2, 203.0.113.9"))
    assert not is_internal(rule, "127.0.0.1", ("X-Real-IP", "127.0.0.1"))
    assert not is_internal(rule, "127.0.0.1", ("Forwarded", "for=127.0.0.1"))


def test_an_application_behind_a_trusted_proxy_can_be_internal() -> None:
    rule = access(trusted=["10.0.0.1"], internal=["192.0.2.0/24"])
    assert is_internal(rule, "10.0.0.1", ("X-Forwarded-For", "127.0.0.1, 192.0.2.7"))
    assert not is_internal(rule, "10.0.0.1")
    assert not is_internal(rule, "10.0.0.2", ("X-Forwarded-For", "192.0.2.7"))


@pytest.mark.parametrize(
    ("authorization", "form_secret"),
    [
        (None, "right"),
        ("Bearer right", None),
        ("bearer  right ", None),
        ("BEARER right", "wrong"),
        ("Basic YTpi", "right"),
        ("Bearer", "right"),
    ],
)
def test_the_secret_may_be_in_the_form_or_a_bearer_token(
    authorization: str | None, form_secret: str | None
) -> None:
    lines = [] if authorization is None else [("authorization", authorization)]
    access().check_secret(headers(*lines), form_secret)


@pytest.mark.parametrize(
    ("authorization", "form_secret"),
    [
        (None, "wrong"),
        (None, ""),
        (None, "right "),
        (None, "RIGHT"),
        ("Bearer wrong", "right"),
        ("Bearer \xff\xfe", None),
        (None, "ü\udcff"),
    ],
)
def test_a_wrong_secret_is_refused(authorization: str | None, form_secret: str | None) -> None:
    """R6.66."""
    lines = [] if authorization is None else [("authorization", authorization)]
    with pytest.raises(AccessDenied):
        access().check_secret(headers(*lines), form_secret)


@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer  ", "Basic right", "right"])
def test_no_secret_at_all_is_said_to_be_missing(authorization: str | None) -> None:
    """R6.66."""
    lines = [] if authorization is None else [("authorization", authorization)]
    with pytest.raises(MissingParameter, match="Missing 'secret' argument"):
        access().check_secret(headers(*lines), None)


def test_the_secret_is_not_shown() -> None:
    """R11.18."""
    assert "right" not in repr(access())


INTERNAL = [
    (method, path.replace("{queue}", "missedmessage_emails"))
    for path, methods in INTERNAL_ROUTES.items()
    for method in methods
]


async def test_the_secret_is_compared_in_constant_time(
    local: LocalSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R6.66: by the one function that does so."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(given: bytes, right: bytes) -> bool:
        compared.append((given, right))
        return False

    monkeypatch.setattr("hmac.compare_digest", compare)
    for method, path in INTERNAL:
        answer = await local.ask(
            None, method, path, headers={"authorization": f"Bearer {SECRET}"}, body=b"{}"
        )
        assert answer.status == 403
    assert compared == [(SECRET.encode(), SECRET.encode())] * len(INTERNAL)


@pytest.mark.parametrize(("method", "path"), INTERNAL)
async def test_internal_routes_follow_the_rule(local: LocalSite, method: str, path: str) -> None:
    """R6.66, C25: no secret, a wrong one, one in the query string, another address, a proxy, a page, another method."""
    notice = '{"event":{"type":"t"},"users":[]}'
    body = {"form": {"data": notice}} if path != "/api/internal/notices" else {"body": notice.encode()}
    right = {"authorization": f"Bearer {SECRET}"}
    answer = await local.ask(None, method, path, **body)
    assert (answer.status, answer.json["code"], answer.json["var_name"]) == (
        400,
        "REQUEST_VARIABLE_MISSING",
        "secret",
    )
    answer = await local.ask(None, method, path, query={"secret": SECRET}, **body)
    assert (answer.status, answer.json["code"]) == (400, "REQUEST_VARIABLE_MISSING")
    for request in (
        {"headers": {"authorization": "Bearer wrong"}},
        {"headers": right, "peer": ("10.0.0.1", 1)},
        {"headers": right, "peer": None},
        {"headers": {**right, "x-forwarded-for": "127.0.0.1"}},
        {"headers": {**right, "origin": "http://127.0.0.1"}},
    ):
        answer = await local.ask(None, method, path, **body, **request)
        assert (answer.status, answer.json["code"], answer.json["msg"]) == (
            403,
            "BAD_REQUEST",
            "Access denied",
        )
    answer = await local.ask(None, "PUT", path, headers=right)
    assert answer.status == 405
    assert method in answer.headers["allow"]


async def test_a_secret_in_the_query_does_not_replace_a_wrong_one(local: LocalSite) -> None:
    answer = await local.ask(
        None,
        "POST",
        "/api/internal/notify_tornado",
        query={"secret": SECRET},
        form={"secret": "wrong", "data": "{}"},
    )
    assert answer.status == 403
