"""What every authenticator must do, run against each implementation (R6.2, R6.3).

A further implementation adds one function to IMPLEMENTATIONS that makes it with the users below.
"""

import inspect
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from tidewire.auth import UsersFileAuthenticator
from tidewire.core.errors import InvalidApiKey, RealmDeactivated, Unauthorized, UserDeactivated, WireError
from tidewire.core.ids import RealmId, UserId
from tidewire.ports.auth import Authenticator

USERS = """
[[realm]]
id = 1
host = "demo.example"
name = "Demo"
[[realm]]
id = 2
host = "closed.example"
name = "Closed"
active = false
[[user]]
id = 1
realm_id = 1
email = "ada@demo.example"
api_key = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
full_name = "Ada"
[[user]]
id = 2
realm_id = 1
email = "off@demo.example"
api_key = "oooooooooooooooooooooooooooooooo"
full_name = "Off"
active = false
[[user]]
id = 3
realm_id = 2
email = "eve@closed.example"
api_key = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
full_name = "Eve"
"""


def over_a_users_file(folder: Path) -> Authenticator:
    path = folder / "users.toml"
    path.write_text(USERS)
    return UsersFileAuthenticator(path=path)


IMPLEMENTATIONS = (over_a_users_file,)


@pytest.fixture(params=IMPLEMENTATIONS, ids=lambda make: make.__name__)
def authenticator(request: pytest.FixtureRequest, tmp_path: Path) -> Authenticator:
    make: Callable[[Path], Authenticator] = request.param
    return make(tmp_path)


def basic(email: str, key: str) -> str:
    return "Basic " + b64encode(f"{email}:{key}".encode()).decode()


def test_the_methods_have_the_ports_parameters(authenticator: Authenticator) -> None:
    for name in ("authenticate", "user", "realm"):
        port = list(inspect.signature(getattr(Authenticator, name)).parameters)[1:]
        assert list(inspect.signature(getattr(authenticator, name)).parameters) == port


def test_a_right_key_gives_its_user(authenticator: Authenticator) -> None:
    found = authenticator.authenticate(basic("ada@demo.example", "a" * 32), "demo.example")
    assert found == authenticator.user(UserId(1))


@pytest.mark.parametrize(
    ("authorization", "expected", "status"),
    [
        (None, Unauthorized, 401),
        ("Basic ?", Unauthorized, 401),
        ("Bearer x", WireError, 400),
        (basic("ada@demo.example", "short"), InvalidApiKey, 401),
        (basic("ada@demo.example", "z" * 32), InvalidApiKey, 401),
        (basic("nobody@demo.example", "a" * 32), InvalidApiKey, 401),
        (basic("off@demo.example", "o" * 32), UserDeactivated, 401),
        (basic("eve@closed.example", "e" * 32), RealmDeactivated, 401),
    ],
)
def test_each_fault_has_its_error(
    authenticator: Authenticator, authorization: str | None, expected: type[WireError], status: int
) -> None:
    with pytest.raises(expected) as caught:
        authenticator.authenticate(authorization, None)
    assert caught.value.http_status == status


def test_users_are_found_by_id_whether_active_or_not(authenticator: Authenticator) -> None:
    off = authenticator.user(UserId(2))
    assert off is not None
    assert not off.active
    assert authenticator.user(UserId(99)) is None


def test_realms_are_found_by_id_whether_active_or_not(authenticator: Authenticator) -> None:
    found = [authenticator.realm(RealmId(number)) for number in (1, 2, 99)]
    assert [None if realm is None else (realm.host, realm.active) for realm in found] == [
        ("demo.example", True),
        ("closed.example", False),
        None,
    ]
