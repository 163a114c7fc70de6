"""The door with several kinds: which judges what."""

from pathlib import Path

import pytest

from support.raw_http import basic
from support.server_process import KEYS, email, users_file
from tidewire.auth import UsersFileAuthenticator
from tidewire.auth.chain import AuthChain
from tidewire.auth.revocation import Revoked
from tidewire.core.errors import BadRequest, InvalidApiKey, RealmDeactivated, Unauthorized
from tidewire.core.ids import RealmId, UserId
from tidewire.core.users import User
from tidewire.ports.auth import AuthResult, Credentials, NeedsBackend

SOMEBODY = User(id=UserId(50), realm_id=RealmId(1), email="s@test.example", full_name="S")
ADA = basic(email("ada"), KEYS["ada"])
UNKNOWN = basic("nobody@test.example", "n" * 32)


class Kind:
    """Knows somebody once it was asked."""

    def __init__(self) -> None:
        self.told = False
        self.dropped: list[str] = []

    def known(self, _credentials: Credentials, _now: float) -> AuthResult:
        """Only when it was told."""
        if not self.told:
            raise NeedsBackend
        return AuthResult(SOMEBODY)

    async def ask(self, _credentials: Credentials, _now: float) -> AuthResult:
        """Is told."""
        self.told = True
        return AuthResult(SOMEBODY)

    def drop(self, session: str) -> None:
        """Notes it."""
        self.dropped.append(session)


@pytest.fixture
def users(tmp_path: Path) -> UsersFileAuthenticator:
    path = tmp_path / "users.toml"
    path.write_text(users_file("ada"))
    return UsersFileAuthenticator(path=path)


def door(
    users: UsersFileAuthenticator, *, file: bool = True, tokens: Kind | None = None, app: Kind | None = None
) -> AuthChain:
    return AuthChain(
        users=users if file else None, tokens=tokens, application=app, revoked=Revoked(), directory=users
    )


def test_the_users_file_knows_its_own(users: UsersFileAuthenticator) -> None:
    made = door(users, tokens=Kind(), app=Kind())
    assert made.known(Credentials(authorization=ADA), 0.0).user.id == 1


async def test_whom_it_does_not_know_the_application_is_asked_about(users: UsersFileAuthenticator) -> None:
    application = Kind()
    made = door(users, app=application)
    unknown = Credentials(authorization=UNKNOWN)
    with pytest.raises(NeedsBackend):
        made.known(unknown, 0.0)
    assert (await made.ask(unknown, 0.0)).user == SOMEBODY
    assert made.known(unknown, 0.0).user == SOMEBODY
    with pytest.raises(InvalidApiKey):
        door(users, tokens=Kind()).known(unknown, 0.0)


def test_bearer_is_for_tokens_else_for_the_application(users: UsersFileAuthenticator) -> None:
    bearer = Credentials(authorization="Bearer x")
    with pytest.raises(NeedsBackend):
        door(users, tokens=Kind()).known(bearer, 0.0)
    with pytest.raises(NeedsBackend):
        door(users, app=Kind()).known(bearer, 0.0)
    with pytest.raises(BadRequest):
        door(users).known(bearer, 0.0)


@pytest.mark.parametrize("file", [True, False])
def test_a_session_route_never_takes_basic(users: UsersFileAuthenticator, file: bool) -> None:
    shown = Credentials(authorization=ADA, is_session=True)
    with pytest.raises(Unauthorized):
        door(users, file=file, tokens=Kind()).known(shown, 0.0)


def test_a_realm_that_is_switched_off_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "off.toml"
    path.write_text(users_file("ada").replace('name = "Test"', 'name = "Test"\nactive = false'))
    application = Kind()
    application.told = True
    made = door(UsersFileAuthenticator(path=path), app=application)
    with pytest.raises(RealmDeactivated):
        made.known(Credentials(authorization="Token x"), 0.0)


def test_nothing_is_let_in_by_nothing(users: UsersFileAuthenticator) -> None:
    for made in (door(users, file=False, tokens=Kind()), door(users, file=False, app=Kind()), door(users)):
        with pytest.raises(Unauthorized):
            made.known(Credentials(authorization=None), 0.0)


def test_to_revoke_drops_what_is_remembered_and_raises_the_generation(users: UsersFileAuthenticator) -> None:
    tokens, application = Kind(), Kind()
    made = door(users, tokens=tokens, app=application)
    before = made.generation
    made.revoke("s1", 0.0)
    assert (tokens.dropped, application.dropped) == (["s1"], ["s1"])
    assert made.generation > before
    assert made.has_sessions
    assert not door(users).has_sessions
