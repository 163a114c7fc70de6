"""The users-file authenticator: the errors of R6.3, and reading the file again."""

import os
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.auth import UsersFileAuthenticator, UsersFileError, read_users
from tidewire.auth import authenticator as module
from tidewire.core.errors import (
    BadRequest,
    InvalidApiKey,
    RealmDeactivated,
    Unauthorized,
    UserDeactivated,
    WireError,
)
from tidewire.core.ids import RealmId, UserId


def realm(number: int, host: str, *, active: bool = True) -> str:
    return f'[[realm]]\nid = {number}\nhost = "{host}"\nname = "R"\nactive = {str(active).lower()}\n'


def user(number: int, realm_id: int, email: str, key: str, more: str = "") -> str:
    head = f'[[user]]\nid = {number}\nrealm_id = {realm_id}\nemail = "{email}"\n'
    return head + f'api_key = "{key * 32}"\nfull_name = "U"\n{more}\n'


USERS = (
    realm(1, "demo.example")
    + realm(2, "other.example")
    + realm(3, "closed.example", active=False)
    + user(1, 1, "Ada@demo.example", "a")
    + user(2, 1, "off@demo.example", "o", "active = false")
    + user(3, 1, "hook@demo.example", "h", 'role = "webhook_bot"')
    + user(4, 3, "eve@closed.example", "e", "active = false")
    + user(5, 1, "two@demo.example", "x")
    + user(6, 2, "two@demo.example", "y")
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "users.toml"
    file.write_text(USERS)
    return file


@pytest.fixture
def users(path: Path) -> UsersFileAuthenticator:
    return UsersFileAuthenticator(path=path)


def basic(email: str, key: str) -> str:
    return "Basic " + b64encode(f"{email}:{key * 32}".encode()).decode()


def error(
    users: UsersFileAuthenticator, authorization: str | None, host: str | None = None
) -> tuple[type[WireError], str]:
    with pytest.raises(WireError) as caught:
        users.authenticate(authorization, host)
    return type(caught.value), str(caught.value)


@pytest.mark.parametrize(
    "host", [None, "", "demo.example", "DEMO.example:9800", "127.0.0.1:9800", "[::1]:9800"]
)
def test_the_right_key_gives_the_user_whatever_the_case_of_the_email(
    users: UsersFileAuthenticator, host: str | None
) -> None:
    """R6.3; a host that is no realm's says nothing."""
    assert users.authenticate(basic(" ADA@Demo.Example ", "a"), host).id == 1


def test_faults_of_the_header_come_through(users: UsersFileAuthenticator) -> None:
    assert error(users, None)[0] is Unauthorized
    assert error(users, "Bearer x")[0] is BadRequest


def test_an_unknown_email_and_a_wrong_key_get_the_same_answer(users: UsersFileAuthenticator) -> None:
    expected = (InvalidApiKey, "Invalid API key")
    assert error(users, basic("nobody@demo.example", "a")) == expected
    assert error(users, basic("ada@demo.example", "z")) == expected
    assert error(users, basic("off@demo.example", "a")) == expected


def test_the_key_is_compared_in_constant_time_even_when_there_is_no_account(
    users: UsersFileAuthenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []

    def counting(first: bytes, second: bytes) -> bool:
        compared.append(len(first))
        return first == second

    monkeypatch.setattr(module, "same", counting)
    error(users, basic("nobody@demo.example", "a"))
    error(users, basic("ada@demo.example", "z"))
    assert compared == [32, 32]


def test_switched_off_accounts_and_realms_are_told_apart(users: UsersFileAuthenticator) -> None:
    assert error(users, basic("off@demo.example", "o")) == (UserDeactivated, "Account is deactivated")
    assert error(users, basic("eve@closed.example", "e")) == (
        RealmDeactivated,
        "This organization has been deactivated",
    )


def test_a_host_of_another_realm_is_refused(users: UsersFileAuthenticator) -> None:
    assert error(users, basic("ada@demo.example", "a"), "Other.example:443") == (
        BadRequest,
        "Account is not associated with this subdomain",
    )


def test_incoming_webhook_bots_are_refused(users: UsersFileAuthenticator) -> None:
    assert error(users, basic("hook@demo.example", "h")) == (
        BadRequest,
        "This API is not available to incoming webhook bots.",
    )


@pytest.mark.parametrize(
    ("key", "host", "user_id"),
    [
        ("x", "demo.example", 5),
        ("y", "other.example", 6),
        ("x", None, 5),
        ("y", None, 6),
        ("y", "127.0.0.1", 6),
    ],
)
def test_of_one_email_in_two_realms_host_or_key_decides(
    users: UsersFileAuthenticator, key: str, host: str | None, user_id: int
) -> None:
    assert users.authenticate(basic("two@demo.example", key), host).id == user_id


def test_the_host_decides_before_the_key(users: UsersFileAuthenticator) -> None:
    assert error(users, basic("two@demo.example", "y"), "demo.example")[0] is InvalidApiKey
    assert error(users, basic("two@demo.example", "y"), "closed.example")[0] is BadRequest


def test_users_and_realms_are_found_by_id(users: UsersFileAuthenticator) -> None:
    found, closed = users.user(UserId(2)), users.realm(RealmId(3))
    assert found is not None
    assert found.email == "off@demo.example"
    assert closed is not None
    assert not closed.active
    assert users.user(UserId(99)) is None
    assert users.realm(RealmId(99)) is None
    assert [user.id for user in users.users()] == [1, 2, 3, 4, 5, 6]


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsersFileError, match=r"no such file; make it .* or set auth\.users_file"):
        UsersFileAuthenticator(path=tmp_path / "users.toml")


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(UsersFileError, match="can't be read: Is a directory"):
        UsersFileAuthenticator(path=tmp_path)


def test_a_changed_file_is_noticed_once_and_put_in_force(users: UsersFileAuthenticator, path: Path) -> None:
    assert not users.changed_on_disk()
    path.write_text(USERS.replace("a" * 32, "n" * 32))
    os.utime(path, ns=(1, 1))
    assert users.changed_on_disk()
    reloaded = users.reload()
    assert reloaded.revoked == {1}
    assert users.generation == 2
    assert not users.changed_on_disk()
    assert users.authenticate(basic("ada@demo.example", "n"), None).id == 1
    assert error(users, basic("ada@demo.example", "a"))[0] is InvalidApiKey


def test_a_replaced_file_is_noticed_by_its_inode(users: UsersFileAuthenticator, path: Path) -> None:
    status = path.stat()
    other = path.with_name("other")
    other.write_text(USERS)
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)
    assert users.changed_on_disk()


@pytest.mark.parametrize("content", ["[[user", "", " \n", "[[user]]\nid = 1\n"])
def test_a_broken_or_empty_file_keeps_the_old_users_and_is_not_tried_again(
    users: UsersFileAuthenticator, path: Path, content: str
) -> None:
    before = users.users()
    path.write_text(content)
    assert users.changed_on_disk()
    with pytest.raises(UsersFileError):
        users.reload()
    assert users.users() == before
    assert users.generation == 1
    assert not users.changed_on_disk()
    path.write_text(USERS)
    assert users.changed_on_disk()
    assert users.reload().revoked == frozenset()


def test_a_file_that_goes_away_and_comes_back_is_noticed_each_time(
    users: UsersFileAuthenticator, path: Path
) -> None:
    path.unlink()
    assert users.changed_on_disk()
    with pytest.raises(UsersFileError):
        users.reload()
    assert not users.changed_on_disk()
    assert len(users.users()) == 6
    path.write_text(USERS)
    assert users.changed_on_disk()
    users.reload()
    assert users.generation == 2


def test_a_file_written_to_while_it_is_read_is_tried_again(
    users: UsersFileAuthenticator, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[module.Signature] = []

    def moving(status: os.stat_result) -> module.Signature:
        taken.append((len(taken), status.st_size, status.st_ino))
        return taken[-1]

    with monkeypatch.context() as patch:
        patch.setattr(module, "_signature", moving)
        with pytest.raises(UsersFileError, match="written to while it was read"):
            users.reload()
    assert users.changed_on_disk()
    assert users.generation == 1
    path.write_text(USERS)
    users.reload()
    assert users.generation == 2


@given(cut=st.integers(0, len(USERS.encode())))
def test_a_file_cut_at_any_byte_keeps_the_old_users_or_is_a_users_file_itself(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.toml"
    path.write_text(USERS)
    users = UsersFileAuthenticator(path=path)
    before = users.users()
    content = USERS.encode()[:cut]
    path.write_bytes(content)
    try:
        users.reload()
    except UsersFileError:
        assert users.users() == before
        assert users.generation == 1
    else:
        assert users.users() == read_users(content, source="cut.toml").users()
        assert users.generation == 2
    assert not users.changed_on_disk()


FIVE = (Unauthorized, BadRequest, InvalidApiKey, UserDeactivated, RealmDeactivated)


@given(
    email=st.sampled_from(["ada@demo.example", "off@demo.example", "hook@demo.example", "nobody", ""])
    | st.text(),
    key=st.sampled_from(["a", "o", "h", "e", "-", ""]),
    host=st.none() | st.sampled_from(["demo.example", "other.example", "[::1]:1"]) | st.text(),
)
def test_no_request_brings_anything_but_a_user_or_one_of_the_five_errors(
    tmp_path_factory: pytest.TempPathFactory, email: str, key: str, host: str | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "five.toml"
    path.write_text(USERS)
    users = UsersFileAuthenticator(path=path)
    try:
        found = users.authenticate(basic(email, key), host)
    except FIVE:
        return
    assert found.email.casefold() == email.strip().casefold()
