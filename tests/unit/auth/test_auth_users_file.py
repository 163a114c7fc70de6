"""Reading users.toml: what is accepted, and that each mistake is named with its entry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire import TidewireError
from tidewire.auth import UsersFileError, UsersSnapshot, read_users
from tidewire.core.users import Role

REALM = '[[realm]]\nid = 1\nhost = "demo.example"\nname = "Demo"\n'
REALM_2 = '[[realm]]\nid = 2\nhost = "other.example"\nname = "Other"\n'


def user(number: int = 1, **values: str) -> str:
    """An entry in TOML; a value of "" leaves its key out."""
    entry = {
        "id": str(number),
        "realm_id": "1",
        "email": f'"u{number}@demo.example"',
        "api_key": f'"{number:032}"',
        "full_name": f'"User {number}"',
        **values,
    }
    return "[[user]]\n" + "".join(f"{key} = {value}\n" for key, value in entry.items() if value)


def read(content: str | bytes) -> UsersSnapshot:
    raw = content.encode() if isinstance(content, str) else content
    return read_users(raw, source="users.toml")


def problems(content: str | bytes) -> list[str]:
    with pytest.raises(UsersFileError) as caught:
        read(content)
    assert str(caught.value).splitlines() == [f"users.toml: {problem}" for problem in caught.value.problems]
    return list(caught.value.problems)


def test_realms_and_users_are_read_with_their_defaults() -> None:
    snapshot = read(REALM + user() + user(2, role='"webhook_bot"', active="false"))
    (realm,) = snapshot.realms()
    first, second = snapshot.users()
    assert (realm.id, realm.host, realm.name, realm.active) == (1, "demo.example", "Demo", True)
    assert (first.role, first.active, first.full_name) == (Role.MEMBER, True, "User 1")
    assert (second.role, second.active, second.email) == (Role.WEBHOOK_BOT, False, "u2@demo.example")
    assert repr(snapshot) == "<UsersSnapshot: 1 realms, 2 users>"


@pytest.mark.parametrize("content", ["", "# nobody yet\n", REALM])
def test_a_file_without_realms_or_users_is_right(content: str) -> None:
    assert read(content).users() == ()


@pytest.mark.parametrize("role", list(Role))
def test_each_role_is_known(role: Role) -> None:
    assert read(REALM + user(role=f'"{role}"')).users()[0].role is role


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (REALM + user(1) + user(1, email='"x@y"', api_key=f'"{9:032}"'), "[[user]] number 2: id 1 is already that of number 1"),
        (REALM + user(1) + user(2, email='"U1@Demo.example"'), "[[user]] number 2: email 'U1@Demo.example' in realm 1 is already that of number 1"),
        (REALM + user(1) + user(2, api_key=f'"{1:032}"'), "[[user]] number 2: api_key is already that of number 1"),
        (REALM + REALM_2.replace("id = 2", "id = 1"), "[[realm]] number 2: id 1 is already that of number 1"),
        (REALM + REALM_2.replace("other.example", "Demo.example:80"), "[[realm]] number 2: host 'Demo.example:80' is already that of number 1"),
        (REALM + user(realm_id="7"), "[[user]] number 1: realm_id 7 is the id of no [[realm]]"),
        (REALM + user(role='"boss"'), "[[user]] number 1: role 'boss' must be one of owner, admin, member, guest, bot, webhook_bot"),
        (REALM + user(role="1"), "[[user]] number 1: role must be a string that is not empty"),
        (REALM + user(api_key='"short"'), "[[user]] number 1: api_key must be 32 characters of A-Z, a-z, 0-9"),
        (REALM + user(api_key=""), "[[user]] number 1: api_key is missing: it must be a string that is not empty"),
        (REALM + user(email='"a b@c"'), "[[user]] number 1: email 'a b@c' must have no spaces and no colon"),
        (REALM + user(email='"a:b@c"'), "[[user]] number 1: email 'a:b@c' must have no spaces and no colon"),
        (REALM + user(full_name='" "'), "[[user]] number 1: full_name must be a string that is not empty"),
        (REALM + user(active='"yes"'), "[[user]] number 1: active must be true or false"),
        (REALM + user(id="true"), "[[user]] number 1: id must be a whole number from 1 to 9007199254740991"),
        (REALM + user(id="9007199254740992"), "[[user]] number 1: id must be a whole number from 1 to 9007199254740991"),
        (REALM + user(id=""), "[[user]] number 1: id is missing: it must be a whole number from 1 to 9007199254740991"),
        (REALM + user(name='"x"'), "[[user]] number 1: unknown key 'name'; the keys are id, realm_id, email, api_key, full_name, role, active"),
        (REALM + "url = 1\n", "[[realm]] number 1: unknown key 'url'; the keys are id, host, name, active"),
        (REALM.replace('"demo.example"', '"https://demo.example"'), "[[realm]] number 1: host 'https://demo.example' must be a host name, without a scheme or a path"),
        (REALM + "[users]\n", "unknown table 'users'; a users file has [[realm]] and [[user]] only"),
        ("[user]\n", "user is not a list of tables; write each entry under [[user]]"),
        ("user = [1]\n", "[[user]] number 1: is not a table; write it as [[user]]"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_entry(content: str, problem: str) -> None:
    assert problem in problems(content)


def test_one_mistake_is_one_problem_and_all_are_told_at_once() -> None:
    found = problems(REALM + user(1, api_key='"short"') + user(2, role='"boss"') + user(3, email="7"))
    assert [problem.partition(":")[0] for problem in found] == [
        "[[user]] number 1",
        "[[user]] number 2",
        "[[user]] number 3",
    ]


def test_the_same_email_may_be_in_two_realms() -> None:
    snapshot = read(REALM + REALM_2 + user(1) + user(2, realm_id="2", email='"U1@demo.example"'))
    assert [account.user.id for account in snapshot.accounts_of("u1@DEMO.example")] == [1, 2]


@pytest.mark.parametrize("content", [b"\xff", b"[[user", b"a = " + b"[" * 5000, b"a = " + b"9" * 5000])
def test_content_that_is_no_toml_is_one_problem(content: bytes) -> None:
    assert len(problems(content)) == 1


def test_keys_are_nowhere_in_what_is_kept_or_told() -> None:
    key = "S3cretS3cretS3cretS3cretS3cretS3"
    accounts = read(REALM + user(api_key=f'"{key}"')).accounts_of("u1@demo.example")
    assert key not in repr(accounts)
    assert len(accounts[0].key_digest) == 32
    content = REALM + user(api_key=f'"{key}!"') + user(2, api_key=f'"{key}"') + user(3, api_key=f'"{key}"')
    assert key not in str(problems(content))
    with pytest.raises(TidewireError) as caught:
        read(REALM + user(api_key=f'"{key}"') + "[[")
    assert caught.value.code == "USERS_FILE_INVALID"
    assert caught.value.__context__ is None


@given(st.binary() | st.text().map(str.encode))
def test_no_bytes_bring_anything_but_users_or_the_error(content: bytes) -> None:
    try:
        read(content)
    except UsersFileError as problem:
        assert problem.problems  # noqa: PT017 - both outcomes are right
