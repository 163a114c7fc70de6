"""The internal views: the application's side of queues, and publishing (6E)."""

from starlette.requests import Request

from tidewire.cluster.peers import FORWARDED
from tidewire.core.errors import BadRequest
from tidewire.core.ids import RealmId, UserId
from tidewire.core.notices.notice import Notice, decode_in_slices
from tidewire.core.notices.request_body import decode_notices, read_notices
from tidewire.core.slices import finished
from tidewire.http import responses
from tidewire.http.authentication import admit_internal, check_internal_address
from tidewire.http.context import ServerContext
from tidewire.http.fanout import publish_batch
from tidewire.http.forms import find_secret, text_of
from tidewire.http.forwarding import hops_of_each, internal_from_elsewhere
from tidewire.http.parameters import (
    MAX_FORM_BYTES,
    SMALL_BYTES,
    Parameters,
    form_fields,
    has_form,
    query_parameters,
    read_body,
)
from tidewire.http.request_info import note_of, noted_client
from tidewire.http.responses import Response
from tidewire.http.views.events import Owner, poll_or_create

MAX_NOTICES_BYTES = 16 * 1024 * 1024
"""Of one request to publish: thousands of notices."""


async def internal_parameters(
    request: Request, context: ServerContext, max_bytes: int = SMALL_BYTES
) -> Parameters:
    """The parameters of a request that may only come from inside, its secret checked and taken out."""
    fields = await internal_fields(request, context, max_bytes)
    return _parameters(request, {name: text_of(value) for name, value in fields.items()})


async def internal_fields(request: Request, context: ServerContext, max_bytes: int) -> dict[str, bytes]:
    """The form of such a request, its secret checked and taken out.

    What the head says is judged first: the address, and a secret that stands there. Without one the body is taken in to
    find it, and nothing else of it is looked at before it has proven right.

    Raises:
        AccessDenied: the request comes from elsewhere, or its secret is wrong.
        MissingParameter: it has none.
        PayloadTooLarge, BadRequest: the form is too large, or can't be read.
    """
    info = note_of(request)
    check_internal_address(info, context)
    is_shown = context.access.shows_secret(info.headers)
    if is_shown or not has_form(request):
        admit_internal(info, context, None)
    if not has_form(request):
        return {}
    content_type = request.headers["content-type"]
    body = await read_body(request, max_bytes)
    if not is_shown:
        search = find_secret(body, content_type)
        admit_internal(
            info, context, finished(search) if len(body) <= SMALL_BYTES else await context.turns.do(search)
        )
    fields = await form_fields(body, content_type, context.turns)
    fields.pop("secret", None)
    return fields


def _parameters(request: Request, form: dict[str, str]) -> Parameters:
    parameters = Parameters(query_parameters(request) | form)
    noted_client(request, parameters)
    return parameters


def check_internal(request: Request, context: ServerContext) -> None:
    """Checks a request that has no form, so that its secret can only be in the header.

    A request of a console session is authenticated already and needs no secret.
    """
    info = note_of(request)
    if info.internal:
        return
    check_internal_address(info, context)
    admit_internal(info, context, None)


async def events_internal(request: Request, context: ServerContext) -> Response:
    """`POST /api/v1/events/internal`: makes or reads a queue on a user's behalf (R6.68)."""
    parameters = await internal_parameters(request, context, MAX_FORM_BYTES)
    owner = _owner(parameters, context)
    form = dict(parameters.given)
    elsewhere = await internal_from_elsewhere(request, context, form, owner.user_id, owner.realm_id)
    if elsewhere is not None:
        return elsewhere
    return await poll_or_create(request, context, parameters, owner=owner, client="internal")


def _owner(parameters: Parameters, context: ServerContext) -> Owner:
    """The named user; one that the users file doesn't know is described by the caller."""
    user_id = UserId(parameters.required_integer("user_profile_id", minimum=0))
    realm_id = parameters.integer("realm_id", minimum=0)
    may_access = parameters.boolean("can_access_public_streams", default=False)
    user = context.authenticator.user(user_id)
    if user is not None:
        return Owner.of(user, rights=context.authenticator.rights(user_id))
    if realm_id is None:
        raise BadRequest(f"User {user_id} is not known here; give its realm_id too")
    return Owner(user_id=user_id, realm_id=RealmId(realm_id), may_access_public_channels=may_access)


async def notify_tornado(request: Request, context: ServerContext) -> Response:
    """`POST /api/internal/notify_tornado`: one notice in the form field `data` (R6.69)."""
    fields = await internal_fields(request, context, MAX_NOTICES_BYTES)
    # Not made a text of: it may be long, and is decoded from bytes.
    data = fields.pop("data", None)
    parameters = _parameters(request, {name: text_of(value) for name, value in fields.items()})
    if data is None:
        data = parameters.required_text("data").encode()
    else:
        parameters.text("data")  # it was asked for, wherever else it stands
    work = decode_in_slices(data)
    notice = finished(work) if len(data) <= SMALL_BYTES else await context.turns.do(work)
    failed = await _publish([notice], request, context)
    return failed or responses.success({}, ignored=parameters.ignored())


async def notices(request: Request, context: ServerContext) -> Response:
    """`POST /api/internal/notices`: one notice, a list, or one a line; answered once all are durable."""
    check_internal(request, context)
    body = await read_body(request, MAX_NOTICES_BYTES)
    taken = await read_notices_of(body, context)
    count = len(taken)
    failed = await _publish(taken, request, context)
    return failed or responses.success({"accepted": count})


async def web_reload_clients(request: Request, context: ServerContext) -> Response:
    """`POST /api/internal/web_reload_clients`: tells web clients of an earlier process to reload (R6.70)."""
    parameters = await internal_parameters(request, context)
    count = parameters.integer("client_count", minimum=0)
    immediate = parameters.boolean("immediate", default=False)
    context.lifecycle.check_serving()
    taken = context.engine.reload_clients(immediate=immediate, count=count)
    payload = {"sent_events": taken, "complete": count is None or taken < count}
    return responses.success(payload, ignored=parameters.ignored())


async def revoke_session(request: Request, context: ServerContext) -> Response:
    """`POST /api/internal/revoke_session`: a session or token lets nobody in any more; what it had ends."""
    parameters = await internal_parameters(request, context)
    session = parameters.required_text("session")
    if context.door is not None:
        context.door.revoke(session, context.now())
    ended = context.engine.revoke((), context.sessions.take(session))
    return responses.success({"queues_ended": ended}, ignored=parameters.ignored())


async def _publish(taken: list[Notice], request: Request, context: ServerContext) -> Response | None:
    """Has the notices of a request carried out, here and elsewhere; None when they were, else another shard's refusal."""
    if FORWARDED in request.headers:
        for notice, hops in zip(taken, hops_of_each(request, len(taken)), strict=True):
            notice.hops = hops
    return await publish_batch(taken, context)


async def read_notices_of(body: bytes, context: ServerContext) -> list[Notice]:
    """The notices of a request body, at least one; others are served in between.

    Raises:
        InvalidNotice: one of them is wrong.
        BadRequest: there is none.
    """
    if len(body) <= SMALL_BYTES:
        return notices_of(body)
    return _at_least_one(await context.turns.do(read_notices(body)))


def notices_of(body: bytes) -> list[Notice]:
    """Decodes the notices of a short body in one go.

    Raises:
        InvalidNotice, BadRequest: as before.
    """
    return _at_least_one(decode_notices(body))


def _at_least_one(taken: list[Notice]) -> list[Notice]:
    if not taken:
        raise BadRequest("The request has no notice in its body")
    return taken
