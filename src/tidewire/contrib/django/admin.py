"""The admin: what waits in the outbox and what the server refused, and a page of the server's queues."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from tidewire._http import Connection, TransportFailed, error_of
from tidewire.contrib.django.conf import conf
from tidewire.contrib.django.models import Outgoing, Queue
from tidewire.core.inspection.queue_list import SORTS

QUEUES = "/api/internal/queues"
OK = 200

ASKED = ("sort", "ascending", "limit", "user_id", "realm_id", "client_name", "waiting", "offline")
"""What the page passes on of its own address."""


@admin.register(Outgoing)
class OutgoingAdmin(admin.ModelAdmin):
    """Rows may be looked at, tried again and removed, and never changed."""

    list_display = ("id", "kind", "created", "refused", "reason")
    list_filter = ("kind", ("refused", admin.EmptyFieldListFilter))
    actions = ("try_again",)

    @admin.action(description="Try again")
    def try_again(self, _request: HttpRequest, rows: Any) -> None:
        """Puts refused rows back into the outbox."""
        rows.update(refused=None, reason="")

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Only the application writes them."""
        return False

    def has_change_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        """They are what was committed."""
        return False


@admin.register(Queue)
class QueueAdmin(admin.ModelAdmin):
    """A page in place of the list: the server is asked for its queues."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The page. `sort`, `user_id` and the other parameters are those of `GET /api/internal/queues`."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked = {name: request.GET[name] for name in ASKED if request.GET.get(name)}
        answer, problem = _queues(asked)
        rows = [_row(row) for row in answer.get("queues", ())]
        names = _names({row["user_id"] for row in rows})
        for row in rows:
            row["user"] = names.get(row["user_id"], "")
        context = {
            **self.admin_site.each_context(request),
            **(extra_context or {}),
            "title": "Event queues",
            "rows": rows,
            "found": answer.get("found", 0),
            "asked": asked,
            "sorts": SORTS,
            "problem": problem,
        }
        return TemplateResponse(request, "tidewire/queues.html", context)

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Never: clients make queues."""
        return False

    def has_change_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        """Never: queues can't be edited."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        """Nor removes them from here."""
        return False


def _queues(asked: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """The server's answer, or what hinders it."""
    found = conf()
    connection = Connection(found.url, headers={"Authorization": f"Bearer {found.secret}"})
    path = f"{QUEUES}?{urlencode(asked)}" if asked else QUEUES
    try:
        answer = connection.request("GET", path, timeout=found.timeout)
    except TransportFailed as error:
        return {}, str(error)
    finally:
        connection.close()
    if answer.status != OK or answer.json is None:
        return {}, error_of(answer)[1]
    return dict(answer.json), ""


def _row(told: Mapping[str, Any]) -> dict[str, Any]:
    """A queue, with times as Django shows them."""
    return {**told, "oldest": _time(told.get("oldest")), "last_active": _time(told.get("last_active"))}


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _names(ids: Iterable[int]) -> dict[int, str]:
    """What the users are called here, as far as the server has this project's own ids."""
    users = get_user_model().objects.filter(pk__in=ids)
    return {user.pk: user.get_username() for user in users}
