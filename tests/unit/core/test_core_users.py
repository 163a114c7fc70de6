"""Users and roles."""

import pytest

from tidewire.core.ids import RealmId, UserId
from tidewire.core.users import Role, User


@pytest.mark.parametrize("role", list(Role))
def test_all_but_guests_may_access_public_channels_r6_32(role: Role) -> None:
    user = User(id=UserId(1), realm_id=RealmId(1), email="a@x.example", full_name="A", role=role)
    assert user.may_access_public_channels == (role != "guest")
