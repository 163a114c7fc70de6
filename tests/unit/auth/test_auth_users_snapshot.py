"""Which users lose their queues when the file changes (D11)."""

import pytest

from tidewire.auth.users_file import Account, UsersSnapshot
from tidewire.core.ids import RealmId, UserId
from tidewire.core.users import Realm, Role, User


def snapshot(
    *,
    role: Role = Role.MEMBER,
    realm_id: int = 1,
    active: bool = True,
    realm_active: bool = True,
    key_digest: bytes = b"k",
    email: str = "ada@demo.example",
) -> UsersSnapshot:
    realms = [
        Realm(id=RealmId(1), host="demo.example", name="Demo", active=realm_active),
        Realm(id=RealmId(2), host="other.example", name="Other"),
    ]
    ada = User(
        id=UserId(1), realm_id=RealmId(realm_id), email=email, full_name=email, role=role, active=active
    )
    bob = User(id=UserId(2), realm_id=RealmId(2), email="bob@other.example", full_name="Bob")
    return UsersSnapshot(realms, [Account(ada, key_digest), Account(bob, b"b")])


@pytest.mark.parametrize(
    "newer",
    [
        snapshot(role=Role.GUEST),
        snapshot(realm_id=2),
        snapshot(active=False),
        snapshot(realm_active=False),
        snapshot(key_digest=b"other"),
    ],
)
def test_a_change_of_role_realm_key_or_active_revokes_that_user_only(newer: UsersSnapshot) -> None:
    assert snapshot().revoked_by(newer) == {1}


def test_a_user_who_is_gone_is_revoked() -> None:
    assert snapshot().revoked_by(UsersSnapshot()) == {1, 2}


def test_another_name_or_email_or_a_new_user_revokes_nobody() -> None:
    assert snapshot().revoked_by(snapshot(email="new@demo.example")) == frozenset()
    assert UsersSnapshot().revoked_by(snapshot()) == frozenset()


@pytest.mark.parametrize(
    "newer",
    [
        snapshot(role=Role.GUEST),
        snapshot(realm_id=2),
        snapshot(active=False),
        snapshot(realm_active=False),
        snapshot(key_digest=b"other"),
        UsersSnapshot(),
    ],
)
def test_rights_are_told_apart_over_restarts_and_nobody_has_none(newer: UsersSnapshot) -> None:
    assert snapshot().rights(UserId(1)) == snapshot(email="new@demo.example").rights(UserId(1)) != b""
    assert newer.rights(UserId(1)) != snapshot().rights(UserId(1))
    assert snapshot().rights(UserId(3)) == b""


def test_the_host_of_a_request_finds_its_realm() -> None:
    realm = snapshot().realm_of_host("OTHER.example:443")
    assert realm is not None
    assert realm.id == 2
    assert snapshot().realm_of_host("127.0.0.1") is None
    assert snapshot().realm_of_host(None) is None
