"""Who the server knows: realms and their users, as plain values."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from tidewire.core.ids import RealmId, UserId


class Role(StrEnum):
    """What a user is in their realm."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    GUEST = "guest"
    BOT = "bot"
    WEBHOOK_BOT = "webhook_bot"


ROLE_CODES: Mapping[Role, int] = MappingProxyType(
    {
        Role.OWNER: 100,
        Role.ADMIN: 200,
        Role.MEMBER: 400,
        Role.BOT: 400,
        Role.WEBHOOK_BOT: 400,
        Role.GUEST: 600,
    }
)
"""Roles as the numbers that clients know."""


class Realm(Struct, frozen=True, kw_only=True):
    """An organisation (tenant): events never cross from one to another (R0.5)."""

    id: RealmId
    host: str
    name: str
    active: bool = True


class User(Struct, frozen=True, kw_only=True):
    """An account of one realm."""

    id: UserId
    realm_id: RealmId
    email: str
    full_name: str
    role: Role = Role.MEMBER
    active: bool = True

    @property
    def may_access_public_channels(self) -> bool:
        """Guests see only the channels they are subscribed to (D-1, R6.32)."""
        return self.role is not Role.GUEST


def described(user: User) -> dict[str, Any]:
    """What clients are told of a user, of themselves (`users/me`) and of others (`register`)."""
    return {
        "user_id": user.id,
        "email": user.email,
        "delivery_email": user.email,
        "full_name": user.full_name,
        "role": ROLE_CODES[user.role],
        "is_active": user.active,
        "is_admin": user.role in (Role.OWNER, Role.ADMIN),
        "is_owner": user.role is Role.OWNER,
        "is_guest": user.role is Role.GUEST,
        "is_bot": user.role in (Role.BOT, Role.WEBHOOK_BOT),
        "avatar_url": None,
        "timezone": "",
    }
