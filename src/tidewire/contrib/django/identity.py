"""Who users and sessions are to the server: functions that a project may replace by its own."""

import inspect
from typing import Any, NamedTuple

from asgiref.sync import async_to_sync
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from tidewire.contrib.django.conf import conf
from tidewire.core.users import Role


def describe(user: Any) -> dict[str, Any]:
    """Describes a user to the server: superusers are owners, staff admins, all others members."""
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


class Bearer(NamedTuple):
    """Whom a header of the project's own names, and what can be revoked of it.

    Attributes:
        user: who it is.
        token: the project's name for what was shown, such as its primary key; never what is shown itself.
        expires_in: seconds after which it ends by itself; None when it doesn't.
    """

    user: Any
    token: str = ""
    expires_in: float | None = None


def identified(request: HttpRequest, *, is_session: bool) -> dict[str, Any] | None:
    """The user of a request, as described to the server; None without a user."""
    if is_session:
        return _of_session(request)
    found = _authenticated(request)
    bearer = found if isinstance(found, Bearer) else Bearer(found)
    if bearer.user is None or not bearer.user.is_authenticated:
        return None
    answer: dict[str, Any] = {"user": described(bearer.user)}
    if bearer.token:
        answer["session"] = token_name(bearer.token)
    if bearer.expires_in is not None:
        answer["expires_in"] = bearer.expires_in
    return answer


def _of_session(request: HttpRequest) -> dict[str, Any] | None:
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return None
    answer: dict[str, Any] = {"user": described(user)}
    if request.session.session_key:
        answer["session"] = session_name(request.session.session_key)
        answer["expires_in"] = request.session.get_expiry_age()
    return answer


def _authenticated(request: HttpRequest) -> Any:
    authenticate = conf().function("authenticate")
    return (async_to_sync(authenticate) if inspect.iscoroutinefunction(authenticate) else authenticate)(
        request
    )


def described(user: Any) -> dict[str, Any]:
    """What the project tells the server of a user."""
    told: dict[str, Any] = conf().function("describe")(user)
    return told


def session_name(session_key: str) -> str:
    """What the server calls a session; the key itself, which logs in, goes nowhere."""
    return _name("tidewire.contrib.django", session_key)


def token_name(token: str) -> str:
    """What the server calls a token, of which no session can have the name."""
    return _name("tidewire.contrib.django.token", token)


def _name(salt: str, value: str) -> str:
    digest: str = salted_hmac(salt, value, algorithm="sha256").hexdigest()
    return digest[:32]
