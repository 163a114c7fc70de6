"""Who users and sessions are to the server: functions that a project may replace by its own."""

from typing import Any

from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from tidewire.contrib.django.conf import conf
from tidewire.core.users import Role


def describe(user: Any) -> dict[str, Any]:
    """What the server is told of a user: superusers are owners, staff admins, all others members."""
    role = Role.ADMIN if user.is_staff else Role.MEMBER
    return {
        "id": user.pk,
        "realm_id": conf().realm,
        "email": getattr(user, "email", "") or user.get_username(),
        "full_name": user.get_full_name() or user.get_username(),
        "role": (Role.OWNER if user.is_superuser else role).value,
        "active": user.is_active,
    }


def authenticate_nobody(_request: HttpRequest) -> Any:
    """Knows no `Authorization` header: Django has no API keys of its own."""
    return None


def session_name(session_key: str) -> str:
    """What the server calls a session; the key itself, which logs in, goes nowhere."""
    digest: str = salted_hmac("tidewire.contrib.django", session_key, algorithm="sha256").hexdigest()
    return digest[:32]
