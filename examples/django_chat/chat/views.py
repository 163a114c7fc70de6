"""The page, and what it posts."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST

from chat import changes
from chat.models import Channel, Message


def page(request: HttpRequest) -> HttpResponse:
    """The page. All that it shows comes with `register`, and with events after that."""
    return render(request, "chat/page.html")


@require_POST
def say(request: HttpRequest, channel: int) -> HttpResponse:
    """A message."""
    text = request.POST.get("text", "").strip()[:4000]
    if text:
        changes.say(_own(request, channel), request.user.pk, text)
    return HttpResponse(status=204 if text else 400)


@require_POST
def read(request: HttpRequest, channel: int) -> HttpResponse:
    """Has read."""
    own = _own(request, channel)
    through = get_object_or_404(Message, pk=request.POST.get("through"), channel=own)
    changes.read(own, request.user.pk, through.pk)
    return HttpResponse(status=204)


@require_POST
def typing(request: HttpRequest, channel: int) -> HttpResponse:
    """Is typing."""
    changes.typing(_own(request, channel), request.user.pk)
    return HttpResponse(status=204)


def _own(request: HttpRequest, channel: int) -> Channel:
    return get_object_or_404(Channel, pk=channel, members=request.user.pk)
