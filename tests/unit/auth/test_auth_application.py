"""Asking the application who asks: what it is told, how long its word holds, and what becomes of wrong answers."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from support.http_stub import Reply, StubServer
from tidewire._http.bounded import Caller
from tidewire.auth.application import ApplicationBackend
from tidewire.auth.revocation import Changes, Revoked
from tidewire.core.errors import (
    AuthenticationUnavailable,
    InvalidApiKey,
    InvalidToken,
    Unauthorized,
    UserDeactivated,
    WireError,
)
from tidewire.ports.auth import Credentials, NeedsBackend

USER = {"id": 7, "realm_id": 1, "email": "ada@test.example", "full_name": "Ada"}
COOKIES = Credentials(
    authorization="Basic eA==", cookie="lang=en; sid=s1; other=x", host="h", is_session=True
)
TOKEN = Credentials(authorization="Bearer t", host="h")
NOW = 1000.0


@pytest.fixture
def application() -> Iterator[StubServer]:
    with StubServer() as stub:
        yield stub


class Kind(ApplicationBackend):
    """With what it told others."""

    def __init__(self, application: StubServer, *, cookies: tuple[str, ...] = ()) -> None:
        self.failures: list[str] = []
        self.changed: list[int] = []
        self.revoked = Revoked()
        super().__init__(
            Caller(application.url, timeout=5, max_bytes=10_000, headers=[("X-Tidewire-Secret", "s")]),
            keep_for=30,
            cookies=cookies,
            revoked=self.revoked,
            report=lambda error: self.failures.append(str(error)),
            on_seen=Changes(self.changed.append).seen,
        )


def says(**members: object) -> Reply:
    return Reply({"user": USER, **members})


async def test_a_session_is_asked_about_with_its_cookies_alone(application: StubServer) -> None:
    application.script(says(session="s1"))
    admitted = await Kind(application).ask(COOKIES, NOW)
    assert (admitted.user.id, admitted.session, admitted.known_until) == (7, "s1", NOW + 30)
    (asked,) = application.asked
    assert asked.headers["Cookie"] == "lang=en; sid=s1; other=x"
    assert asked.headers["X-Tidewire-Secret"] == "s"
    assert "Authorization" not in asked.headers
    assert json.loads(asked.body) == {"is_session": True, "host": "h"}


async def test_another_request_is_asked_about_with_its_header_alone(application: StubServer) -> None:
    application.script(says())
    await Kind(application).ask(TOKEN, NOW)
    assert application.asked[0].headers["Authorization"] == "Bearer t"
    assert "Cookie" not in application.asked[0].headers


async def test_only_the_named_cookies_count(application: StubServer) -> None:
    application.script(says())
    kind = Kind(application, cookies=("sid",))
    await kind.ask(COOKIES, NOW)
    assert application.asked[0].headers["Cookie"] == "sid=s1"
    other = Credentials(authorization=None, cookie="sid=s1; lang=fr", host="h", is_session=True)
    assert kind.known(other, NOW).user.id == 7
    nothing = Credentials(authorization=None, cookie="lang=fr", host="h", is_session=True)
    with pytest.raises(Unauthorized):
        kind.known(nothing, NOW)


async def test_its_word_holds_for_a_while(application: StubServer) -> None:
    application.script(says())
    kind = Kind(application)
    with pytest.raises(NeedsBackend):
        kind.known(TOKEN, NOW)
    await kind.ask(TOKEN, NOW)
    assert kind.known(TOKEN, NOW + 29).user.id == 7
    with pytest.raises(NeedsBackend):
        kind.known(TOKEN, NOW + 30)


async def test_an_end_that_it_names_is_the_end(application: StubServer) -> None:
    application.script(says(expires_in=10))
    admitted = await Kind(application).ask(TOKEN, NOW)
    assert (admitted.known_until, admitted.ends_at) == (NOW + 10, NOW + 10)


async def test_requests_at_the_same_time_share_an_answer(application: StubServer) -> None:
    application.script(says())
    kind = Kind(application)
    found = await asyncio.gather(*(kind.ask(TOKEN, NOW) for _ in range(5)))
    assert {admitted.user.id for admitted in found} == {7}
    assert len(application.asked) == 1


@pytest.mark.parametrize(
    ("credentials", "error"),
    [
        (COOKIES, Unauthorized),
        (TOKEN, InvalidToken),
        (Credentials(authorization="Basic eA=="), InvalidApiKey),
    ],
)
async def test_who_is_nobody_is_not_remembered(
    application: StubServer, credentials: Credentials, error: type[WireError]
) -> None:
    application.script(Reply(status=401), Reply(status=403))
    kind = Kind(application)
    for _ in range(2):
        with pytest.raises(error):
            await kind.ask(credentials, NOW)
    assert len(application.asked) == 2
    assert kind.failures == []


async def test_who_is_switched_off_is_told_so(application: StubServer) -> None:
    application.script(Reply({"user": {**USER, "active": False}}))
    with pytest.raises(UserDeactivated):
        await Kind(application).ask(TOKEN, NOW)


@pytest.mark.parametrize(
    "reply",
    [Reply(status=500), Reply(status=302), Reply(drop=True), Reply({"user": {"id": "7"}}), Reply(b"x")],
)
async def test_an_application_that_can_not_say_lets_nobody_in(application: StubServer, reply: Reply) -> None:
    application.script(reply)
    kind = Kind(application)
    with pytest.raises(AuthenticationUnavailable):
        await kind.ask(TOKEN, NOW)
    assert len(kind.failures) == 1
    with pytest.raises(NeedsBackend):
        kind.known(TOKEN, NOW)


async def test_a_session_that_is_revoked_while_it_is_asked_about_is_not_let_in(
    application: StubServer,
) -> None:
    application.script(says(session="s1"))
    application.hold_from(1)
    kind = Kind(application)
    asking = asyncio.create_task(kind.ask(COOKIES, NOW))
    await asyncio.to_thread(application.wait_for, 1)
    kind.revoked.add("s1", NOW + 1)
    kind.drop("s1")
    application.release()
    with pytest.raises(Unauthorized):
        await asking
    with pytest.raises(NeedsBackend):
        kind.known(COOKIES, NOW)


async def test_a_revoked_session_is_forgotten(application: StubServer) -> None:
    application.script(says(session="s1"))
    kind = Kind(application)
    await kind.ask(COOKIES, NOW)
    kind.drop("s1")
    with pytest.raises(NeedsBackend):
        kind.known(COOKIES, NOW)


async def test_a_user_who_is_another_than_before_is_told_of(application: StubServer) -> None:
    application.script(says(), says(), Reply({"user": {**USER, "role": "admin"}}))
    kind = Kind(application)
    for later in (0, 100, 200):
        await kind.ask(TOKEN, NOW + later)
    assert kind.changed == [7]
