"""The project asked in its own process: what its middleware is given, and what becomes of its answers."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.django_project import setup as _setup  # noqa: F401  # Django has to be set up before its models are imported
from support.server_process import SECRET

from django.conf import settings  # isort: skip
from django.contrib.auth import get_user_model  # isort: skip
from django.http import HttpRequest, HttpResponse  # isort: skip
from django.test import Client, override_settings  # isort: skip

from tidewire._http.bounded import CallFailed, Reply
from tidewire.config import ConfigError
from tidewire.contrib import django as live
from tidewire.contrib.django import in_process as module
from tidewire.contrib.django.conf import conf
from tidewire.contrib.django.identity import session_name, token_name
from tidewire.contrib.django.in_process import Inside
from tidewire.contrib.django.models import Outgoing
from tidewire.contrib.django.providers import in_this_process
from tidewire.contrib.django.server_settings import shard_settings
from tidewire.core.ids import RealmId, UserId
from tidewire.core.users import User
from tidewire.initial_state import Asked

pytestmark = pytest.mark.usefixtures("database")

seen: list[HttpRequest] = []


Next = Callable[[HttpRequest], HttpResponse]


def noting(next_one: Next) -> Next:
    """Middleware that keeps what it is given."""

    def middleware(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return next_one(request)

    return middleware


def refusing(status: int) -> Callable[[Next], Next]:
    """Middleware that answers by itself."""
    return lambda _next: lambda _request: HttpResponse(status=status)


redirecting, forbidding, broken = refusing(302), refusing(403), refusing(500)


def raising(_next: Next) -> Next:
    """Middleware that fails."""

    def middleware(_request: HttpRequest) -> HttpResponse:
        raise RuntimeError("of the project's")

    return middleware


async def asynchronous(request: HttpRequest) -> Any:
    """A project's own way to know a header."""
    return await get_user_model().objects.filter(username=request.headers["Authorization"]).afirst()


@pytest.fixture(autouse=True)
def _nothing_seen() -> Iterator[None]:
    yield
    seen.clear()


def ask(
    *,
    cookie: str | None = None,
    authorization: str | None = None,
    host: str | None = "testserver",
    **changes: Any,
) -> Reply:
    """What the project says, asked on this thread, whose database is the test's."""
    header = {"Cookie": cookie} if cookie is not None else {"Authorization": authorization or ""}
    with override_settings(**changes):
        inside = Inside(timeout=5, threads=1)
        try:
            return inside._answer(module._environ({"host": host}, header))
        finally:
            inside.close()


def logged_in() -> tuple[str, str]:
    """The cookie and the key of a session of Ada's."""
    client = Client()
    client.post("/login", {"name": "ada"})
    key = str(client.session.session_key)
    return f"sessionid={key}", key


def test_a_session_is_known_by_the_project_s_own_middleware(ada: int) -> None:
    cookie, key = logged_in()
    reply = ask(cookie=cookie)
    assert reply.status == 200
    answer = json.loads(reply.body)
    assert (answer["user"]["id"], answer["session"]) == (ada, session_name(key))
    assert 0 < answer["expires_in"] <= settings.SESSION_COOKIE_AGE
    assert ask(cookie="sessionid=made-up").status == 401


@pytest.mark.usefixtures("ada")
def test_a_header_is_known_by_the_project_s_own_function() -> None:
    key, token = ask(authorization="Key ada"), ask(authorization="Token ada")
    assert "session" not in json.loads(key.body)
    assert json.loads(token.body)["session"] == token_name("ada") != session_name("ada")
    assert ask(authorization="Key nobody").status == ask(authorization="Token nobody").status == 401
    name = f"{asynchronous.__module__}.asynchronous"
    own: dict[str, Any] = {"TIDEWIRE": {**settings.TIDEWIRE, "AUTHENTICATE": name}}
    assert json.loads(ask(authorization="ada", **own).body)["user"]["full_name"] == "ada"


@pytest.mark.usefixtures("ada")
def test_middleware_sees_a_secure_request_of_the_client_s_host() -> None:
    cookie, _ = logged_in()
    more = [f"{noting.__module__}.noting", *settings.MIDDLEWARE]
    assert ask(cookie=cookie, MIDDLEWARE=more, SECURE_SSL_REDIRECT=True).status == 200
    (request,) = seen
    assert (request.get_host(), request.is_secure(), request.method) == ("testserver", True, "GET")
    assert "Authorization" not in request.headers


@pytest.mark.usefixtures("ada")
def test_a_project_that_lets_nobody_in_without_a_login_is_asked_all_the_same() -> None:
    cookie, _ = logged_in()
    demanding = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    assert ask(cookie=cookie, MIDDLEWARE=demanding).status == 200
    assert ask(authorization="Key ada", MIDDLEWARE=demanding).status == 200
    with override_settings(MIDDLEWARE=demanding):
        asked = Client().post(
            "/live/whoami", "{}", content_type="application/json", headers={"X-Tidewire-Secret": SECRET}
        )
    assert asked.status_code == 401  # the view's own answer, no way to a login page


@pytest.mark.parametrize(
    ("name", "status"), [("redirecting", 401), ("forbidding", 403), ("broken", 500), ("raising", 500)]
)
@pytest.mark.usefixtures("ada")
def test_what_middleware_answers_counts(name: str, status: int) -> None:
    cookie, _ = logged_in()
    more = [f"{noting.__module__}.{name}", *settings.MIDDLEWARE]
    assert ask(cookie=cookie, MIDDLEWARE=more).status == status


@pytest.mark.usefixtures("ada")
def test_a_host_that_the_project_does_not_serve_is_nobody_s() -> None:
    cookie, _ = logged_in()
    assert ask(cookie=cookie, host="other.example").status == 401
    assert ask(cookie=cookie, host=None).status == 401


def test_a_failure_that_django_passes_on_is_told_as_one() -> None:
    more = [f"{noting.__module__}.raising", *settings.MIDDLEWARE]
    with pytest.raises(CallFailed, match="of the project's"):
        ask(cookie="x=1", MIDDLEWARE=more, DEBUG_PROPAGATE_EXCEPTIONS=True)


async def test_it_is_asked_on_a_thread_within_its_time() -> None:
    inside = Inside(timeout=5, threads=1)
    try:
        body = json.dumps({"is_session": True, "host": "testserver"}).encode()
        assert (await inside.post(body, [("Cookie", "other=1")])).status == 401
        hurried = Inside(timeout=0, threads=1)
        with pytest.raises(CallFailed, match="within 0 seconds"):
            await hurried.post(body, [("Cookie", "other=1")])
        await asyncio.to_thread(hurried.close)
    finally:
        await asyncio.to_thread(inside.close)


def test_providers_are_those_next_to_the_models(ada: int) -> None:
    (provider,) = in_this_process()
    user = User(id=UserId(ada), realm_id=RealmId(1), email="", full_name="")
    state = provider.read(Asked(user=user, realm=None, queue_id="q"))
    assert (provider.fetch_type, provider.event_types, state) == ("todos", frozenset({"todo"}), {"todos": {}})
    assert isinstance(state, dict)
    provider.apply(state, {"type": "todo", "id_": 1, "text": "applied"})
    assert state == {"todos": {"1": "applied"}}


def test_the_project_s_own_setting_stands_for_the_server_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = shard_settings(conf(), file=None, overrides=[])
    assert (found.server.port, found.server.secret) == (9800, SECRET)
    assert (found.auth.kind, found.auth.http_cookies) == (("django",), ("sessionid",))
    (tmp_path / "tidewire.toml").write_text('[auth]\nkind = ["users", "django"]\n[server]\nport = 9900\n')
    found = shard_settings(conf(), file=None, overrides=["server.host=::1"])
    assert (found.auth.kind, found.server.port, found.server.host) == (("users", "django"), 9900, "::1")
    with pytest.raises(ConfigError, match="the same as TIDEWIRE") as caught:
        shard_settings(conf(), file=None, overrides=["server.secret=another-one"])
    assert "another-one" not in str(caught.value)


def test_a_revoked_token_goes_through_the_outbox() -> None:
    live.revoke_token("17")
    (row,) = Outgoing.objects.all()
    assert (row.kind, row.content) == ("session", token_name("17"))
