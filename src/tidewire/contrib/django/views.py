"""What the server asks the project: who a request comes from, and the initial state. Nobody else is answered."""

import asyncio
import hmac
import inspect
import json
from collections.abc import Callable, Mapping
from functools import cache, wraps
from hashlib import blake2b
from importlib import resources
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import condition, require_POST, require_safe

from tidewire.contrib.django.conf import conf
from tidewire.contrib.django.identity import identified
from tidewire.contrib.django.providers import registered
from tidewire.core.ids import RealmId, UserId
from tidewire.core.users import User
from tidewire.initial_state import Asked, State, StateProvider

View = Callable[[HttpRequest], HttpResponse]


def _for_the_server(secret_of: Callable[[HttpRequest], str]) -> Callable[[View], View]:
    """Lets in who has the secret alone; there is no page behind it that a token of Django's could protect."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest) -> HttpResponse:
            given = secret_of(request).encode("utf-8", "surrogatepass")
            if not conf().secret or not hmac.compare_digest(given, conf().secret.encode()):
                return JsonResponse({"msg": "Access denied"}, status=403)
            return view(request)

        # The server has no account to log in with.
        wrapped: View = login_not_required(csrf_exempt(never_cache(require_POST(guarded))))
        return wrapped

    return decorate


def _of_header(request: HttpRequest) -> str:
    return str(request.headers.get("X-Tidewire-Secret", ""))


def _of_bearer(request: HttpRequest) -> str:
    scheme, _, value = str(request.headers.get("Authorization", "")).partition(" ")
    return value if scheme.lower() == "bearer" else ""


@_for_the_server(_of_header)
def whoami(request: HttpRequest) -> HttpResponse:
    """Who a request of the server's comes from: its cookies or header are this request's own (`auth.http_url`)."""
    is_session = json.loads(request.body or b"{}").get("is_session", False)
    answer = identified(request, is_session=is_session)
    return JsonResponse({"msg": "Nobody"}, status=401) if answer is None else JsonResponse(answer)


@_for_the_server(_of_bearer)
def state(request: HttpRequest) -> HttpResponse:
    """The initial state, and events applied to it (`state.callback_url`)."""
    told = json.loads(request.body)
    asked = _asked(told)
    providers = [provider for provider in registered().values() if asked.wants(provider.fetch_type)]
    if told["step"] == "read":
        return _json(
            {
                "state": _read(providers, asked),
                "event_types": sorted({kind for provider in providers for kind in provider.event_types}),
            }
        )
    whole = told["state"]
    for event in told["events"]:
        for provider in providers:
            if event["type"] in provider.event_types:
                provider.apply(whole, event)
    return _json({"state": whole})


@cache
def _source() -> tuple[bytes, str]:
    """The client for pages, and its tag."""
    source = (resources.files("tidewire.console") / "static" / "tidewire.js").read_bytes()
    return source, f'"{blake2b(source, digest_size=8).hexdigest()}"'


@login_not_required
@condition(etag_func=lambda _request: _source()[1])
@require_safe
def javascript_client(_request: HttpRequest) -> HttpResponse:
    """`tidewire.js` of the installed version, for `import` in pages."""
    return HttpResponse(
        _source()[0], content_type="text/javascript", headers={"Cache-Control": "max-age=300"}
    )


def _asked(told: Mapping[str, Any]) -> Asked:
    wanted = told["fetch_event_types"]
    events = told["event_types"]
    return Asked(
        user=User(
            id=UserId(told["user_id"]), realm_id=RealmId(told["realm_id"]), email=told["email"], full_name=""
        ),
        realm=None,
        queue_id=told["queue_id"],
        fetch_types=None if wanted is None else frozenset(wanted),
        event_types=None if events is None else tuple(events),
        options=told["options"],
    )


def _read(providers: list[StateProvider], asked: Asked) -> State:
    whole: State = {}
    for provider in providers:
        found = provider.read(asked)
        whole |= asyncio.run(_awaited(found)) if inspect.isawaitable(found) else found
    return whole


async def _awaited(found: Any) -> State:
    state: State = await found
    return state


def _json(content: Any) -> HttpResponse:
    return HttpResponse(json.dumps(content, cls=DjangoJSONEncoder), content_type="application/json")
