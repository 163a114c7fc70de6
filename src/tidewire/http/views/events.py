"""The views of clients: `register`, `events`, `server_settings` and `users/me`."""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request

from tidewire.cluster.awaitable import AwaitableWaiter
from tidewire.core.errors import BadEventQueueId, BadRequest, StateUnavailable, WireError
from tidewire.core.events.capabilities import CAPABILITY_NAMES, NOT_DECLARED, TOP_LEVEL, Capabilities
from tidewire.core.events.encoding import encode_answer
from tidewire.core.ids import QueueId, RealmId, UserId
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.state.limits import IdleTimeouts
from tidewire.core.state.state import Batch
from tidewire.core.users import User, described
from tidewire.http import responses
from tidewire.http.authentication import admit_anybody, authenticated, expired
from tidewire.http.context import ServerContext
from tidewire.http.forwarding import answer_from_elsewhere
from tidewire.http.parameters import MAX_LENGTH, Parameters, knows_pronouns, parameters_of, query_parameters
from tidewire.http.request_info import RequestInfo, note_of, noted_client
from tidewire.http.responses import Response
from tidewire.http.security import check_origin
from tidewire.initial_state import Asked, StateSource

IDLE_TIMEOUT_NAMES = ("idle_queue_timeout", "lifespan_secs", "queue_lifespan_secs")
"""The parameter's present name and its older ones (D11)."""


DECLARED = tuple(name for name in CAPABILITY_NAMES if name not in TOP_LEVEL | NOT_DECLARED)
"""Capabilities that a client declares inside `client_capabilities`, or by name on the events route."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """Whose queue it will be."""

    user_id: UserId
    realm_id: RealmId
    may_access_public_channels: bool
    rights: bytes = b""

    @classmethod
    def of(cls, user: User, *, rights: bytes) -> "Owner":
        """The facts about a known user, as they are at this moment (D11)."""
        return cls(
            user_id=user.id,
            realm_id=user.realm_id,
            may_access_public_channels=user.may_access_public_channels,
            rights=rights,
        )


def capabilities_by_name(parameters: Parameters, user_agent: str | None) -> Capabilities:
    """The capabilities as the events route takes them: each a parameter of its own (R6.30)."""
    flags = {name: parameters.boolean(name, default=False) for name in (*TOP_LEVEL, *DECLARED)}
    return Capabilities(**flags, pronouns_field_type_supported=knows_pronouns(user_agent))


def capabilities_of_register(parameters: Parameters, user_agent: str | None) -> Capabilities:
    """The capabilities as `register` takes them: some by name, the rest in one object (R6.50)."""
    client_gravatar = parameters.optional_boolean("client_gravatar")
    declared = parameters.booleans("client_capabilities")
    if declared is not None and "notification_settings_null" not in declared:
        raise BadRequest('client_capabilities["notification_settings_null"] is required')
    flags: dict[str, Any] = {name: (declared or {}).get(name, False) for name in DECLARED}
    return Capabilities(
        apply_markdown=parameters.boolean("apply_markdown", default=False),
        # Whoever registers here is logged in, and for them this is on by default (R6.50).
        client_gravatar=client_gravatar is not False,
        slim_presence=parameters.boolean("slim_presence", default=False),
        pronouns_field_type_supported=knows_pronouns(user_agent),
        **flags,
    )


def queue_spec(
    parameters: Parameters,
    *,
    owner: Owner,
    capabilities: Capabilities,
    client_name: str,
    idle_timeouts: IdleTimeouts,
) -> QueueSpec:
    """What the queue is made with.

    Raises:
        BadRequest: a parameter is wrong, or the owner may not see public channels but asks for all (R6.32).
    """
    all_public_streams = bool(parameters.optional_boolean("all_public_streams"))
    if all_public_streams and not owner.may_access_public_channels:
        raise BadRequest("User not authorized for this query")
    return QueueSpec(
        user_id=owner.user_id,
        realm_id=owner.realm_id,
        event_types=parameters.strings("event_types"),
        narrow=parameters.narrow("narrow"),
        all_public_streams=all_public_streams,
        may_access_public_channels=owner.may_access_public_channels,
        client_type_name=client_name,
        capabilities=capabilities,
        idle_timeout=idle_timeouts.effective(parameters.idle_timeout(*IDLE_TIMEOUT_NAMES)),
        rights=owner.rights,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """What `register` takes about the initial state (R6.50).

    Attributes:
        fetch_types: the parts that are wanted; None is all.
        options: what providers are told of the form.
    """

    fetch_types: frozenset[str] | None
    options: Mapping[str, Any]


def snapshot_parameters(parameters: Parameters, spec: QueueSpec) -> Snapshot:
    """What is wanted of the initial state.

    Raises:
        BadRequest: a parameter is wrong.
    """
    fetched = parameters.strings("fetch_event_types")
    wanted = spec.event_types if fetched is None else fetched
    capabilities = spec.capabilities
    options = {
        "apply_markdown": capabilities.apply_markdown,
        "client_gravatar": capabilities.client_gravatar,
        # R6.54.
        "slim_presence": capabilities.slim_presence or capabilities.simplified_presence_events,
        "include_subscribers": parameters.literal("include_subscribers", (True, False, "partial")) or False,
        "presence_history_limit_days": parameters.integer("presence_history_limit_days", minimum=0),
    }
    return Snapshot(fetch_types=None if wanted is None else frozenset(wanted), options=options)


NOTHING_YET = -1
"""What a client acknowledges that has seen no event."""


async def register(request: Request, context: ServerContext) -> Response:
    """`POST /api/v1/register`: makes a queue and reads the state (R6.50-R6.57, R7.2)."""
    user = await authenticated(request, context)
    elsewhere = await answer_from_elsewhere(request, context, user)
    if elsewhere is not None:
        return elsewhere
    parameters = await parameters_of(request, context.turns)
    user_agent = request.headers.get("user-agent")
    client = noted_client(request, parameters)
    spec = queue_spec(
        parameters,
        owner=Owner.of(user, rights=context.authenticator.rights(user.id)),
        capabilities=capabilities_of_register(parameters, user_agent),
        client_name=client.name,
        idle_timeouts=context.idle_timeouts,
    )
    wanted = snapshot_parameters(parameters, spec)
    queue_id = await create_queue(context, spec, note_of(request))
    state: dict[str, Any] = {}
    last_event_id = NOTHING_YET
    if context.state is not None:
        asked = _asked(user, context, spec, wanted, queue_id)
        state, last_event_id = await _read_or_discard(context, context.state, asked)
    payload = {
        **state,
        "queue_id": queue_id,
        "last_event_id": last_event_id,
        "idle_queue_timeout_secs": spec.idle_timeout,
        **context.compat.versions,
    }
    return responses.success(payload, ignored=parameters.ignored())


async def create_queue(context: ServerContext, spec: QueueSpec, info: RequestInfo) -> QueueId:
    """Makes a queue; gives its id once it is durable."""
    context.lifecycle.check_serving()
    slot: AwaitableWaiter[QueueId] = AwaitableWaiter()
    context.engine.register(spec, slot)
    queue_id = await slot.wait()
    context.sessions.use(info.admitted, queue_id)
    return queue_id


def _asked(user: User, context: ServerContext, spec: QueueSpec, wanted: Snapshot, queue_id: QueueId) -> Asked:
    return Asked(
        user=user,
        realm=context.authenticator.realm(user.realm_id),
        queue_id=queue_id,
        fetch_types=wanted.fetch_types,
        event_types=spec.event_types,
        options=wanted.options,
    )


async def _read_or_discard(
    context: ServerContext, source: StateSource, asked: Asked
) -> tuple[dict[str, Any], int]:
    """The state and the last event that it shows. If that fails, nobody gets to know the queue, so it ends (R7.10)."""
    try:
        draft = await source.read(asked)
        events = await _events_so_far(context, asked)
        shown = await draft.apply(events)
    except BaseException:
        _discard(context, asked.queue_id, asked.user.id)
        raise
    return draft.state, events[shown - 1]["id"] if shown else NOTHING_YET


async def _events_so_far(context: ServerContext, asked: Asked) -> list[dict[str, Any]]:
    """What the queue holds, as far as one answer goes; nothing is acknowledged by that.

    Raises:
        StateUnavailable: the queue has ended meanwhile.
    """
    slot: AwaitableWaiter[Batch] = AwaitableWaiter()
    try:
        context.engine.poll(
            asked.queue_id, user_id=asked.user.id, last_event_id=NOTHING_YET, block=False, waiter=slot
        )
    except BadEventQueueId as error:
        reason = error.data["reason"]
        raise StateUnavailable(f"The queue ended while the state was read: {reason}", reason=reason) from None
    batch = await slot.wait()
    events: list[dict[str, Any]] = msgspec.json.decode(encode_answer(batch.queue_id, batch.entries))["events"]
    return events


class _Nobody:
    """Waits for no answer."""

    def complete(self, answer: QueueId) -> None:
        """Does nothing: nobody waits."""


def _discard(context: ServerContext, queue_id: str, user_id: UserId) -> None:
    try:
        context.engine.delete(queue_id, user_id=user_id, waiter=_Nobody())
    except WireError:
        return  # it has ended, or the journal fails; then it expires in its time


async def get_events(request: Request, context: ServerContext) -> Response:
    """`GET /api/v1/events`: the poll (6B)."""
    user = await authenticated(request, context)
    elsewhere = await answer_from_elsewhere(request, context, user)
    if elsewhere is not None:
        return elsewhere
    parameters = await parameters_of(request, context.turns)
    client = noted_client(request, parameters)
    owner = Owner.of(user, rights=context.authenticator.rights(user.id))
    return await poll_or_create(request, context, parameters, owner=owner, client=client.name)


async def poll_or_create(
    request: Request, context: ServerContext, parameters: Parameters, *, owner: Owner, client: str
) -> Response:
    """Reads a queue, or makes one when none is named (R6.34-R6.39); also what internal callers get."""
    queue_id = parameters.text("queue_id")
    last_event_id = parameters.integer("last_event_id")
    dont_block = parameters.boolean("dont_block", default=False)
    user_client = parameters.text("user_client", max_length=MAX_LENGTH)
    # Parameters of a registration are checked on a poll too: clients send some of them there (R6.91).
    spec = queue_spec(
        parameters,
        owner=owner,
        capabilities=capabilities_by_name(parameters, request.headers.get("user-agent")),
        client_name=user_client or client,
        idle_timeouts=context.idle_timeouts,
    )
    if queue_id is None:
        if not dont_block:
            raise BadRequest("Missing 'queue_id' argument")
        if (info := note_of(request)).is_session:
            check_origin(info, context.session_origins, changes=True)  # a GET, and yet it makes something
        payload = {
            "events": [],
            "queue_id": await create_queue(context, spec, info),
            "idle_queue_timeout_secs": spec.idle_timeout,
        }
        return responses.success(payload, ignored=parameters.ignored())
    if last_event_id is None:
        raise BadRequest("Missing 'last_event_id' argument")
    batch = await _poll(request, context, queue_id, last_event_id, owner=owner, block=not dont_block)
    return responses.events(batch, ignored=parameters.ignored())


async def _poll(
    request: Request, context: ServerContext, queue_id: str, last_event_id: int, *, owner: Owner, block: bool
) -> Batch:
    slot: AwaitableWaiter[Batch] = AwaitableWaiter()
    info = note_of(request)
    before = context.engine.shard.find(queue_id)
    displaces = before is not None and before.waiter is not None
    # While stopping nobody is parked any more, and what is there still goes out (D5).
    block = block and not context.lifecycle.stopping
    context.engine.poll(
        queue_id, user_id=owner.user_id, last_event_id=last_event_id, block=block, waiter=slot
    )
    # Only now is it known to be the user's own.
    context.sessions.use(info.admitted, queue_id)
    if slot.answer is None:
        await _wait(request, context, queue_id, slot, displaces=displaces)
    else:
        info.displaced = displaces
    # Without a connection nobody reads this answer (R6.16).
    info.batch = slot.answer or Batch(QueueId(queue_id), ())
    return info.batch


async def _wait(
    request: Request, context: ServerContext, queue_id: str, slot: AwaitableWaiter[Batch], *, displaces: bool
) -> None:
    """Waits for the answer to a poll, or until its client goes away."""
    info = note_of(request)
    descriptor = context.engine.shard.find(queue_id)
    spec = None if descriptor is None else descriptor.spec
    named: dict[str, Any] = {"queue_id": queue_id}
    if spec is not None:
        named |= {"user_id": spec.user_id, "client": spec.client_type_name}
    named["request_id"] = context.request_ids.shown(info.number)
    if displaces:
        context.log.info("poll displaced", **named)
    began = context.timer()
    is_over = False
    try:
        async with asyncio.timeout(_left(info, context)):
            await slot.wait_connected(request.receive)
    except TimeoutError:
        is_over = True
    finally:
        info.waited = context.timer() - began
        # The client went away, or the request was cancelled: what arrives now stays in the queue.
        if slot.answer is None:
            context.engine.poll_disconnected(queue_id, slot)
            if not is_over:
                info.gone = True
                context.log.info("client disconnected", **named)
    if is_over and slot.answer is None:
        raise expired(info)


def _left(info: RequestInfo, context: ServerContext) -> float | None:
    """Seconds until the user's token or session expires; None if it does not."""
    if info.admitted is None or info.admitted.ends_at == math.inf:
        return None
    return max(0.0, info.admitted.ends_at - context.now())


async def delete_events(request: Request, context: ServerContext) -> Response:
    """`DELETE /api/v1/events`: ends a queue (R6.63)."""
    user = await authenticated(request, context)
    elsewhere = await answer_from_elsewhere(request, context, user)
    if elsewhere is not None:
        return elsewhere
    parameters = await parameters_of(request, context.turns)
    noted_client(request, parameters)
    queue_id = parameters.required_text("queue_id")
    slot: AwaitableWaiter[QueueId] = AwaitableWaiter()
    context.engine.delete(queue_id, user_id=user.id, waiter=slot)
    await slot.wait()
    return responses.success({}, ignored=parameters.ignored())


async def server_settings(request: Request, context: ServerContext) -> Response:
    """`GET /api/v1/server_settings`: what clients ask first, without logging in (R6.15)."""
    admit_anybody(note_of(request), context)
    parameters = Parameters(query_parameters(request))
    noted_client(request, parameters)
    payload: dict[str, Any] = {
        **context.compat.versions,
        "authentication_methods": {},
        "push_notifications_enabled": False,
        "is_incompatible": False,
        "email_auth_enabled": False,
        "require_email_format_usernames": True,
        "realm_url": f"{request.url.scheme}://{request.headers.get('host', '')}",
    }
    return responses.success(payload, ignored=parameters.ignored())


async def users_me(request: Request, context: ServerContext) -> Response:
    """`GET /api/v1/users/me`: the own account, as bots ask for it at their start."""
    user = await authenticated(request, context)
    parameters = Parameters(query_parameters(request))
    noted_client(request, parameters)
    return responses.success(described(user), ignored=parameters.ignored())
