"""The admin: what waits in the outbox and what the server refused, and a page of the server's queues."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from tidewire._http import Connection, TransportFailed, error_of
from tidewire.contrib.django.conf import conf
from tidewire.contrib.django.models import Outgoing, Queue

QUEUES = "/api/internal/queues"
OK = 200


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
        """The page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows, problem = _queues()
        columns = list(dict.fromkeys(name for row in rows for name in row))
        context = {
            **self.admin_site.each_context(request),
            **(extra_context or {}),
            "title": "Event queues",
            "columns": columns,
            "rows": [[row.get(name, "") for name in columns] for row in rows],
            "problem": problem,
        }
        return TemplateResponse(request, "tidewire/queues.html", context)

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Clients make them."""
        return False

    def has_change_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        """Nobody changes them."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        """Nor removes them from here."""
        return False


def _queues() -> tuple[list[dict[str, Any]], str]:
    """The server's queues, or what hinders that."""
    found = conf()
    connection = Connection(found.url, headers={"Authorization": f"Bearer {found.secret}"})
    try:
        answer = connection.request("GET", QUEUES, timeout=found.timeout)
    except TransportFailed as error:
        return [], str(error)
    finally:
        connection.close()
    if answer.status != OK or answer.json is None:
        return [], error_of(answer)[1]
    rows = answer.json.get("queues", [])
    return [row for row in rows if isinstance(row, dict)], ""
