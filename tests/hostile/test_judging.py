"""Whatever is shown to say who asks, it is judged in our own words: on the lane as on the ordinary routes, once in the log."""

import asyncio
import base64
import contextlib
import json
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.http_stub import Reply, StubServer
from support.lane_server import LaneServer, lane_server
from support.site import START, LocalSite, local_site
from tidewire._http.bounded import Caller
from tidewire.auth import UsersFileError, read_users
from tidewire.auth.application import ApplicationBackend
from tidewire.auth.chain import AuthChain
from tidewire.auth.jwt import NOT_VALID, SENTENCES, Claims, Issuer, TokenBackend
from tidewire.auth.revocation import Revoked
from tidewire.core.errors import AuthenticationUnavailable, InvalidToken, WireError
from tidewire.http.responses import failure
from tidewire.ports.auth import AuthGate, AuthResult, Credentials, NeedsBackend

SECRET = "a secret that is long enough for any of the algorithms, even the largest of them all"
POLL = "/api/v1/events"
QUERY = "queue_id=x&last_event_id=-1"

OURS = {*SENTENCES.values(), NOT_VALID}
"""What a client may be told of a token, apart from what begins so and names the member that is wrong."""

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from(
        [10**400, -(10**400), 2**63, 2**64, 2**53, float("nan"), float("inf"), -float("inf"), 1e308]
    ),
    st.floats(),
    st.text(st.characters(exclude_categories=()), max_size=6),
    st.sampled_from(["\ud800", "", "0", "-1", "9" * 400, "1e400", "nan", "me", "tidewire", "RS256", "none"]),
)
DEEP = st.recursive(
    ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
HEADERS = st.fixed_dictionaries(
    {"alg": st.just("HS256") | DEEP},
    optional=dict.fromkeys(("kid", "crit", "typ", "b64", "jwk", "jku", "x5c", "zip"), DEEP),
)
CLAIMS = st.fixed_dictionaries(
    {},
    optional={
        "iss": st.just("me") | DEEP,
        "aud": st.just("tidewire") | DEEP,
        "sub": st.just("7") | DEEP,
        "exp": st.just(int(START) * 2) | DEEP,
        **dict.fromkeys(("nbf", "iat", "jti", "realm_id", "role", "email", "name"), DEEP),
    },
)
KNOWN = [
    ({"alg": "RS256", "kid": "r1", "crit": ["\ud800"]}, {}),
    ({"alg": "HS256", "crit": ["\ud800"]}, {}),
    ({"alg": "HS256"}, {"exp": 10**400}),
    ({"alg": "HS256"}, {"exp": float("inf")}),
    ({"alg": "HS256"}, {"nbf": 10**400}),
    ({"alg": "HS256"}, {"iat": float("nan")}),
    ({"alg": "HS256"}, {"sub": "9" * 5000}),
    ({"alg": "HS256"}, {"email": "\ud800"}),
    ({"alg": "HS256"}, {"name": ["x"]}),
    ({"alg": ["HS256"]}, {}),
    ({"alg": {}}, {}),
    ({"alg": "HS256", "kid": {}}, {}),
    ({"alg": "HS256"}, {"aud": [1]}),
    ({"alg": "HS256"}, {"role": {}}),
]


def token(header: Any, claims: Any) -> str:
    """Signed in order, whatever it says: the library's own `encode` would not write most of these."""

    def part(value: Any) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    usual = {"iss": "me", "aud": "tidewire", "sub": "7", "realm_id": 1, "exp": int(START) * 2}
    signed = part(header) + b"." + part({**usual, **claims} if isinstance(claims, dict) else claims)
    signature = jwt.get_algorithm_by_name("HS256").sign(signed, SECRET.encode())
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


@dataclass
class Judged:
    """A site that takes tokens, and what was said of those that nobody could judge."""

    local: LocalSite
    faults: list[Exception] = field(default_factory=list)


def with_tokens(directory: Path) -> Judged:
    local = local_site(directory)
    revoked, found = Revoked(), Judged(local)
    tokens = TokenBackend(
        {"me": Issuer(algorithms=["HS256"], key=SECRET)},
        claims=Claims(audience="tidewire"),
        users=local.context.authenticator,
        revoked=revoked,
        report=found.faults.append,
        on_fault=found.faults.append,
    )
    door = AuthChain(
        users=local.context.authenticator,
        tokens=tokens,
        application=None,
        revoked=revoked,
        directory=local.context.authenticator,
    )
    found.local = local.changed(door=door)
    return found


async def answers_of(server: LaneServer, authorization: str) -> list[tuple[int, dict[str, Any]]]:
    """What the lane says, the ordinary route for the same poll, and another ordinary route."""
    lines = f"Host: test.example\r\nAuthorization: {authorization}\r\n"
    asked = [
        f"GET {POLL}?{QUERY} HTTP/1.1\r\n{lines}\r\n",
        f"GET {POLL}?{QUERY} HTTP/1.1\r\n{lines}Origin: null\r\n\r\n",
        f"GET /api/v1/users/me HTTP/1.1\r\n{lines}\r\n",
    ]
    before = server.lane.statistics.polls
    found = []
    for request in asked:
        (raw,) = await server.ask(request.encode("latin-1"))
        head, _, body = raw.partition(b"\r\n\r\n")
        found.append((int(head.split(b" ")[1]), json.loads(body)))
    assert server.lane.statistics.polls == before + 1
    return found


@pytest.mark.parametrize(("header", "claims"), KNOWN)
async def test_a_token_that_nobody_can_judge_is_401_in_our_words(
    tmp_path: Path, header: Any, claims: Any
) -> None:
    found = with_tokens(tmp_path)
    async with lane_server(found.local) as server:
        answers = await answers_of(server, f"Bearer {token(header, claims)}")
    for status, body in answers:
        assert (status, body["result"], body["code"]) == (401, "error", "INVALID_TOKEN")
        assert body["msg"] in OURS or body["msg"].startswith(f"{NOT_VALID}: its ")
    # Once for each time that one was judged, at the most; and never as a failed request.
    assert len(found.faults) <= 3
    assert found.local.logged("request failed") == []


VISIBLE = st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f")
AUTHORIZATIONS = st.one_of(
    st.builds(token, HEADERS | DEEP, CLAIMS | DEEP).map("Bearer {}".format),
    st.binary(max_size=60).map(lambda raw: f"Basic {base64.b64encode(raw).decode()}"),
    st.builds("{} {}".format, st.sampled_from(["Basic", "Bearer", "basic"]), st.text(VISIBLE, max_size=60)),
    st.text(VISIBLE, max_size=60),
)


@pytest.mark.slow
@settings(max_examples=40)
@given(authorizations=st.lists(AUTHORIZATIONS, min_size=10, max_size=10))
def test_nothing_shown_is_a_failure_or_tells_what_a_library_says(authorizations: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(judge(Path(directory), authorizations))


async def judge(directory: Path, authorizations: list[str]) -> None:
    found = with_tokens(directory)
    async with lane_server(found.local) as server:
        for authorization in authorizations:
            lane, ordinary, other = await answers_of(server, authorization)
            assert lane == ordinary
            for status, body in (lane, other):
                assert status in {200, 400, 401}
                assert body["result"] == ("success" if status == 200 else "error")
                if body.get("code") == "INVALID_TOKEN":
                    assert body["msg"] in OURS or body["msg"].startswith(
                        (f"{NOT_VALID}: it", "The token is of")
                    )
    assert found.local.logged("request failed") == []


@settings(max_examples=500)
@given(header=HEADERS | DEEP, claims=CLAIMS | DEEP)
def test_no_token_gets_another_answer_than_yes_or_no(header: Any, claims: Any) -> None:
    said: list[Exception] = []
    kind = TokenBackend(
        {"me": Issuer(algorithms=["HS256"], key=SECRET)},
        claims=Claims(audience="tidewire"),
        users=NoUsers(),
        revoked=Revoked(),
        report=said.append,
        on_fault=said.append,
    )
    try:
        admitted = kind.known(Credentials(authorization=f"Bearer {token(header, claims)}"), START)
    except WireError as error:
        response = failure(error)
        assert response.status in {400, 401}
    else:
        user = admitted.user
        assert 0 < user.id < 2**53
        assert 0 < user.realm_id < 2**53
        assert msgspec.json.encode([user, admitted.session])
        assert admitted.ends_at < 2**54


# Whoever else judges.


class FailingDoor:
    """Raises what nobody foresaw."""

    generation = 0
    has_sessions = True

    def __init__(self, error: Exception, *, asks: bool) -> None:
        self._error = error
        self._asks = asks

    def known(self, _credentials: Credentials, _now: float) -> AuthResult:
        """Fails, or has it asked."""
        if self._asks:
            raise NeedsBackend
        raise self._error

    async def ask(self, _credentials: Credentials, _now: float) -> AuthResult:
        """Fails."""
        raise self._error

    def revoke(self, session: str, now: float) -> None:
        """Nothing to revoke."""


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError("hidden"), RecursionError("hidden"), UnicodeError("\ud800 hidden"), KeyError()],
)
async def test_a_door_that_fails_is_500_in_the_envelope_and_one_line_each(
    tmp_path: Path, error: Exception, asks: bool
) -> None:
    door: AuthGate = FailingDoor(error, asks=asks)
    local = local_site(tmp_path).changed(door=door)
    answers = await answers_of_any(local)
    assert len(answers) == 3
    for status, body in answers:
        expected = {"result": "error", "msg": "Internal server error", "code": "INTERNAL_ERROR"}
        assert (status, body) == (500, expected)
    assert len(local.logged("request failed")) == 3


async def answers_of_any(local: LocalSite) -> list[tuple[int, dict[str, Any]]]:
    async with lane_server(local) as server:
        found = []
        for path in (f"{POLL}?{QUERY}", "/api/v1/users/me", f"/json/events?{QUERY}"):
            (raw,) = await server.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head, _, body = raw.partition(b"\r\n\r\n")
            found.append((int(head.split(b" ")[1]), json.loads(body)))
        return found


class NonsenseJudge:
    """An application that answers, or raises, whatever it is given."""

    def __init__(self, reply: Callable[[], Awaitable[Any]]) -> None:
        self._reply = reply

    async def post(self, _body: bytes, _headers: Any = ()) -> Any:
        """Answers."""
        return await self._reply()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        b'{"user": 1}',
        b'{"user": {"id": 0, "realm_id": 1, "email": "", "full_name": ""}}',
        b'{"user": {"id": %d, "realm_id": 1, "email": "", "full_name": ""}}' % 2**80,
        b'{"user": {"id": 1, "realm_id": -4, "email": "", "full_name": ""}}',
        b'{"user": {"id": 1, "realm_id": 1, "email": "\\ud800", "full_name": ""}}',
        b'{"user": {"id": 1, "realm_id": 1, "email": "", "full_name": ""}, "expires_in": -1}',
        b'{"user": {"id": 1, "realm_id": 1, "email": "", "full_name": ""}, "expires_in": 1e999}',
        b"[" * 100_000,
    ],
)
async def test_an_application_that_answers_nonsense_lets_nobody_in(stub: StubServer, body: bytes) -> None:
    stub.script(Reply(body))
    said: list[Exception] = []
    kind = ApplicationBackend(
        Caller(stub.url, timeout=10, max_bytes=1_000_000),
        keep_for=60,
        cookies=(),
        revoked=Revoked(),
        report=said.append,
        on_seen=lambda _: None,
    )
    with pytest.raises(AuthenticationUnavailable) as caught:
        await kind.ask(Credentials(authorization="Bearer x"), START)
    assert len(said) == 1
    assert str(caught.value) == "Who asks can't be found out now"


async def test_an_application_inside_that_raises_lets_nobody_in() -> None:
    said: list[Exception] = []

    async def fail() -> Any:
        raise LookupError("hidden")

    kind = ApplicationBackend(
        NonsenseJudge(fail), keep_for=60, cookies=(), revoked=Revoked(), report=said.append, on_seen=print
    )
    with pytest.raises(AuthenticationUnavailable, match=r"^Who asks can't be found out now$"):
        await kind.ask(Credentials(authorization="Bearer x"), START)
    assert [type(error) for error in said] == [LookupError]


JWKS = st.one_of(
    DEEP,
    st.fixed_dictionaries(
        {
            "keys": DEEP
            | st.lists(
                st.fixed_dictionaries(
                    {"kty": st.sampled_from(["RSA", "EC", "OKP", "oct"]) | DEEP},
                    optional=dict.fromkeys(("kid", "alg", "use", "n", "e", "crv", "x", "y", "k", "d"), DEEP),
                ),
                max_size=3,
            )
        }
    ),
)


class KeysOf:
    """An address with keys."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def get(self) -> Any:
        """Answers."""
        return Reply200(200, self._body)


@dataclass
class Reply200:
    """An answer."""

    status: int
    body: bytes


@settings(max_examples=300)
@given(keys=JWKS)
def test_no_set_of_keys_is_a_failure_and_none_lets_anybody_in(keys: Any) -> None:
    said: list[Exception] = []
    caller: Any = KeysOf(json.dumps(keys).encode())
    kind = TokenBackend(
        {"me": Issuer(algorithms=["RS256", "ES256", "HS256"], caller=caller)},
        claims=Claims(audience="tidewire"),
        users=NoUsers(),
        revoked=Revoked(),
        report=said.append,
        on_fault=said.append,
    )
    with pytest.raises((AuthenticationUnavailable, InvalidToken)):
        asyncio.run(kind.ask(Credentials(authorization=f"Bearer {token({'alg': 'HS256'}, {})}"), START))


class NoUsers:
    """Nobody is known."""

    def user(self, _user_id: int) -> None:
        """Nobody."""


TOML = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LINES = st.lists(
    st.one_of(
        st.sampled_from(
            ["[[realm]]", "[[user]]", "realm = 1", "user = [1]", "id = nan", "id = -1", "id = 1"]
        ),
        st.tuples(
            st.sampled_from(["id", "realm_id", "email", "host", "name", "api_key", "role", "active"]),
            st.sampled_from(
                ["inf", "nan", "[[]]", "{}", "'x'", "1", "true", "1979-05-27", '"\\u0000"', "9" * 5000]
            )
            | TOML.map(json.dumps),
        ).map(" = ".join),
    ),
    max_size=12,
).map("\n".join)


@settings(max_examples=300)
@given(content=LINES.map(str.encode) | st.binary(max_size=60))
def test_no_users_file_is_a_failure(content: bytes) -> None:
    with contextlib.suppress(UsersFileError):
        read_users(content, source="users.toml")


# The application as a whole.


async def test_what_fails_around_a_view_is_our_own_500(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = local_site(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("hidden")

    monkeypatch.setattr("tidewire.http.app._unread", fail)
    for path in ("/api/v1/server_settings", "/api/v1/users/me", "/nowhere"):
        answer = await local.ask("ada", "GET", path)
        assert (answer.status, answer.json["code"]) == (500, "INTERNAL_ERROR")
        assert answer.headers["connection"] == "close"
        assert b"hidden" not in answer.body
    assert len(local.logged("request failed")) == 3


async def test_what_fails_on_the_lane_is_answered_and_not_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = local_site(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("hidden")

    monkeypatch.setattr("tidewire.http.lane.connection.parse_poll", fail)
    async with lane_server(local) as server, await server.connect() as peer:
        peer.send(f"GET {POLL}?{QUERY} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head, _, body = (await peer.rest()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500 ")
    assert json.loads(body) == {"result": "error", "msg": "Internal server error", "code": "INTERNAL_ERROR"}
    assert len(local.logged("request failed")) == 1


async def test_an_error_that_cannot_be_written_is_a_500_that_can(tmp_path: Path) -> None:
    class Unwritable(WireError):
        """Quotes what came."""

        code = "BAD_REQUEST"
        http_status = 400

    door: AuthGate = FailingDoor(Unwritable("\ud800"), asks=False)
    local = local_site(tmp_path).changed(door=door)
    answer = await local.ask(None, "GET", "/api/v1/users/me")
    assert (answer.status, answer.json["code"]) == (500, "INTERNAL_ERROR")
    assert len(local.logged("request failed")) == 1
