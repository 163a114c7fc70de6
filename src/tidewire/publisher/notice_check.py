"""Looks at notices before they go where nobody can refuse them: a broker takes anything."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tidewire.publisher.errors import PublishFailed
from tidewire.publisher.notice_encoding import INVALID_NOTICE

LONGEST_ID = 128
MEMBERS: Mapping[str, type | tuple[type, ...]] = MappingProxyType(
    {"event": Mapping, "users": (list, tuple), "id": str, "realm_id": int, "traceparent": str}
)


def check_notice(index: int, notice: Mapping[str, Any]) -> None:
    """Checks the outline of a notice; what an event must hold is for the server to say.

    Raises:
        PublishFailed: it is wrong; `index` says which one it is.
    """
    problem = _problem(notice)
    if problem:
        raise PublishFailed(f"Invalid notice: {problem}", code=INVALID_NOTICE, http_status=400, index=index)


def _problem(notice: Mapping[str, Any]) -> str:
    members = (_member_problem(name, value) for name, value in notice.items())
    return next(filter(None, members), "") or _content_problem(notice)


def _member_problem(name: str, value: object) -> str:
    if name not in MEMBERS:
        return f"{name!r} is no member of a notice"
    if value is not None and not isinstance(value, MEMBERS[name]):
        return f"{name} is of the wrong type"
    return ""


def _content_problem(notice: Mapping[str, Any]) -> str:
    event, users = notice.get("event"), notice.get("users")
    if event is None or users is None:
        return "event and users must be there"
    kind = event.get("type")
    if not isinstance(kind, str) or not kind:
        return "the event has no `type`"
    if not 0 < len(notice["id"]) <= LONGEST_ID:
        return f"an id has 1 to {LONGEST_ID} characters"
    return "" if all(map(_is_user, users)) else "users must be ids, or objects with one"


def _is_user(user: object) -> bool:
    if isinstance(user, Mapping):
        user = user.get("id")
    return isinstance(user, int) and not isinstance(user, bool) and user >= 0
