"""Tokens: which are taken, which never, and where the keys come from."""

import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from support.http_stub import Reply, StubServer
from tidewire._http.bounded import Caller
from tidewire.auth.jwt import KEPT_FOR, REFETCH_AFTER, Claims, Issuer, TokenBackend
from tidewire.auth.revocation import Revoked
from tidewire.core.errors import AuthenticationUnavailable, InvalidToken, Unauthorized
from tidewire.core.ids import RealmId, UserId
from tidewire.core.users import Role, User
from tidewire.ports.auth import AuthResult, Credentials, NeedsBackend

SECRET = "a secret that is long enough for any of the algorithms, even the largest of them all"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = (
    RSA_KEY.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
ALGORITHMS = ("RS256", "ES256", "HS256")
BOB = User(id=UserId(2), realm_id=RealmId(1), email="bob@test.example", full_name="Bob", role=Role.GUEST)


class Directory:
    """Knows Bob."""

    def user(self, user_id: UserId) -> User | None:
        """By id."""
        return BOB if user_id == BOB.id else None


def kind(issuer: Issuer, *, revoked: Revoked | None = None) -> TokenBackend:
    failures: list[Exception] = []
    return TokenBackend(
        {"me": issuer},
        claims=Claims(audience="tidewire", leeway=0),
        users=Directory(),
        revoked=revoked or Revoked(),
        report=failures.append,
        on_fault=failures.append,
    )


def claims(**changes: Any) -> dict[str, Any]:
    usual = {
        "iss": "me",
        "aud": "tidewire",
        "sub": "7",
        "realm_id": 1,
        "exp": int(time.time()) + 600,
        "email": "ada@test.example",
        "name": "Ada",
        "role": "admin",
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def shown(token: str) -> Credentials:
    return Credentials(authorization=f"Bearer {token}")


def known(token: str, *, key: str = SECRET, now: float | None = None) -> AuthResult:
    issuer = Issuer(algorithms=ALGORITHMS, key=key)
    return kind(issuer).known(shown(token), time.time() if now is None else now)


def signed(**changes: Any) -> str:
    return jwt.encode(claims(**changes), SECRET, algorithm="HS256")


def test_a_token_says_who_asks_and_until_when() -> None:
    ends = int(time.time()) + 60
    admitted = known(signed(exp=ends, jti="t1"))
    user = admitted.user
    assert (user.id, user.realm_id, user.email, user.full_name) == (7, 1, "ada@test.example", "Ada")
    assert user.role is Role.ADMIN
    assert (admitted.ends_at, admitted.known_until, admitted.session) == (ends, ends, "t1")


def test_what_the_users_file_says_counts_more() -> None:
    assert known(signed(sub="2", role="owner")).user == BOB


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"exp": 1},
        {"aud": None},
        {"aud": "another"},
        {"iss": None},
        {"iss": "another"},
        {"sub": None},
        {"sub": "ada"},
        {"sub": "-7"},
        {"sub": "0"},
        {"realm_id": None},
        {"realm_id": True},
        {"role": "king"},
        {"nbf": 9_999_999_999},
    ],
)
def test_a_token_that_lacks_anything_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        known(signed(**changes))


def test_a_token_without_a_signature_is_refused() -> None:
    with pytest.raises(InvalidToken):
        known(jwt.encode(claims(), "", algorithm="none"))


def test_a_token_of_another_key_or_algorithm_is_refused() -> None:
    with pytest.raises(InvalidToken):
        known(jwt.encode(claims(), SECRET[::-1], algorithm="HS256"))
    with pytest.raises(InvalidToken):
        known(jwt.encode(claims(), SECRET, algorithm="HS512"))


def test_a_public_key_is_no_shared_secret() -> None:
    """The classic confusion: a token signed with the public key as if it were a secret."""
    assert known(jwt.encode(claims(), RSA_KEY, algorithm="RS256"), key=PUBLIC).user.id == 7
    header, body = (
        jwt.utils.base64url_encode(json.dumps(part).encode())
        for part in ({"alg": "HS256", "typ": "JWT"}, claims())
    )
    signing = header + b"." + body
    signature = jwt.utils.base64url_encode(jwt.get_algorithm_by_name("HS256").sign(signing, PUBLIC.encode()))
    with pytest.raises(InvalidToken):
        known((signing + b"." + signature).decode(), key=PUBLIC)


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "é.é.é", "x" * 10_000])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(InvalidToken):
        known(text)


def test_another_scheme_is_none_of_its_business() -> None:
    with pytest.raises(Unauthorized):
        kind(Issuer(algorithms=ALGORITHMS, key=SECRET)).known(Credentials(authorization="Basic eA=="), 0.0)


def test_a_revoked_token_is_refused_although_it_was_known() -> None:
    revoked = Revoked()
    tokens = kind(Issuer(algorithms=ALGORITHMS, key=SECRET), revoked=revoked)
    token = signed(jti="t1")
    assert tokens.known(shown(token), time.time()).user.id == 7
    revoked.add("t1", time.time())
    with pytest.raises(InvalidToken):
        tokens.known(shown(token), time.time())
    assert tokens.known(shown(signed(jti="t2")), time.time()).user.id == 7


def jwk(key: Any, key_id: str, **more: Any) -> dict[str, Any]:
    name = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    algorithm = jwt.get_algorithm_by_name(name)
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": key_id, "alg": name, **more}


SHARED = {
    "kty": "oct",
    "kid": "shared",
    "alg": "HS256",
    "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA",
}


@pytest.fixture
def issuer_server() -> Iterator[StubServer]:
    with StubServer() as stub:
        yield stub


def fetched(server: StubServer) -> TokenBackend:
    caller = Caller(f"{server.url}/keys", timeout=5, max_bytes=100_000)
    return kind(Issuer(algorithms=ALGORITHMS, caller=caller))


def by(key: Any, key_id: str) -> Credentials:
    name = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    return shown(
        jwt.encode(claims(exp=int(time.time()) + 100_000), key, algorithm=name, headers={"kid": key_id})
    )


async def test_an_issuer_s_keys_are_fetched_once(issuer_server: StubServer) -> None:
    issuer_server.script(Reply({"keys": [jwk(RSA_KEY, "r"), jwk(EC_KEY, "e"), SHARED]}))
    tokens, now = fetched(issuer_server), time.time()
    with pytest.raises(NeedsBackend):
        tokens.known(by(RSA_KEY, "r"), now)
    assert (await tokens.ask(by(RSA_KEY, "r"), now)).user.id == 7
    assert tokens.known(by(EC_KEY, "e"), now).user.id == 7
    assert [asked.method for asked in issuer_server.asked] == ["GET"]
    shared = jwt.encode(
        claims(), "secret-secret-secret-secret-secret", algorithm="HS256", headers={"kid": "shared"}
    )
    with pytest.raises(InvalidToken):
        tokens.known(shown(shared), now)


async def test_made_up_key_ids_do_not_make_it_ask_on_and_on(issuer_server: StubServer) -> None:
    issuer_server.script(Reply({"keys": [jwk(RSA_KEY, "r")]}), Reply({"keys": [jwk(EC_KEY, "new")]}))
    tokens, now = fetched(issuer_server), time.time()
    with pytest.raises(InvalidToken):
        await tokens.ask(by(EC_KEY, "new"), now)
    for _ in range(3):
        with pytest.raises(InvalidToken):
            tokens.known(by(EC_KEY, "new"), now + 1)
    assert len(issuer_server.asked) == 1
    # A key that is new is found after a while, and one that was withdrawn no longer.
    later = now + REFETCH_AFTER
    assert (await tokens.ask(by(EC_KEY, "new"), later)).user.id == 7
    with pytest.raises(InvalidToken):
        tokens.known(by(RSA_KEY, "r"), later)


async def test_keys_are_not_trusted_for_ever(issuer_server: StubServer) -> None:
    issuer_server.script(Reply({"keys": [jwk(RSA_KEY, "r")]}))
    tokens, now = fetched(issuer_server), time.time()
    await tokens.ask(by(RSA_KEY, "r"), now)
    other = shown(
        jwt.encode(claims(exp=int(now) + 100_000, sub="8"), RSA_KEY, algorithm="RS256", headers={"kid": "r"})
    )
    with pytest.raises(NeedsBackend):
        tokens.known(other, now + KEPT_FOR)


@pytest.mark.parametrize("reply", [Reply(status=500), Reply(b"x"), Reply({"keys": []}), Reply([])])
async def test_without_keys_nobody_is_let_in(issuer_server: StubServer, reply: Reply) -> None:
    issuer_server.script(reply)
    with pytest.raises(AuthenticationUnavailable):
        await fetched(issuer_server).ask(by(RSA_KEY, "r"), time.time())
