"""The public views beside `register`: events, server settings, the own user (6B, 6D, R6.15)."""

import asyncio
import math
from typing import Any

from starlette.requests import Request

from tidewire.core.errors import BadRequest
from tidewire.core.ids import QueueId
from tidewire.core.state import Batch
from tidewire.core.users import described
from tidewire.http import answers
from tidewire.http.admission import admit_anybody, expired
from tidewire.http.answers import Answer
from tidewire.http.body import parameters_of, query_parameters
from tidewire.http.client_name import MAX_LENGTH
from tidewire.http.login import authenticated
from tidewire.http.note import Note
from tidewire.http.noting import note_of, noted_client
from tidewire.http.origin import check_origin
from tidewire.http.parameters import Parameters
from tidewire.http.registering import create_queue
from tidewire.http.registration import (
    Owner,
    capabilities_by_name,
    queue_spec,
)
from tidewire.http.site import Site
from tidewire.http.slots import AsgiSlot
from tidewire.http.wrong_shard import answer_from_elsewhere


async def get_events(request: Request, site: Site) -> Answer:
    """`GET /api/v1/events`: the poll (6B)."""
    user = await authenticated(request, site)
    elsewhere = await answer_from_elsewhere(request, site, user)
    if elsewhere is not None:
        return elsewhere
    parameters = await parameters_of(request, site.turns)
    client = noted_client(request, parameters)
    owner = Owner.of(user, rights=site.authenticator.rights(user.id))
    return await poll_or_create(request, site, parameters, owner=owner, client=client.name)


async def poll_or_create(
    request: Request, site: Site, parameters: Parameters, *, owner: Owner, client: str
) -> Answer:
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
        idle_timeouts=site.idle_timeouts,
    )
    if queue_id is None:
        if not dont_block:
            raise BadRequest("Missing 'queue_id' argument")
        if (note := note_of(request)).is_session:
            check_origin(note, site.session_origins, changes=True)  # a GET, and yet it makes something
        payload = {
            "events": [],
            "queue_id": await create_queue(site, spec, note),
            "idle_queue_timeout_secs": spec.idle_timeout,
        }
        return answers.success(payload, ignored=parameters.ignored())
    if last_event_id is None:
        raise BadRequest("Missing 'last_event_id' argument")
    batch = await _poll(request, site, queue_id, last_event_id, owner=owner, block=not dont_block)
    return answers.events(batch, ignored=parameters.ignored())


async def _poll(
    request: Request, site: Site, queue_id: str, last_event_id: int, *, owner: Owner, block: bool
) -> Batch:
    slot: AsgiSlot[Batch] = AsgiSlot()
    note = note_of(request)
    before = site.engine.shard.find(queue_id)
    displaces = before is not None and before.waiter is not None
    # While stopping nobody is parked any more, and what is there still goes out (D5).
    block = block and not site.lifecycle.stopping
    site.engine.poll(queue_id, user_id=owner.user_id, last_event_id=last_event_id, block=block, slot=slot)
    # Only now is it known to be the user's own.
    site.sessions.use(note.admitted, queue_id)
    if slot.answer is None:
        await _wait(request, site, queue_id, slot, displaces=displaces)
    else:
        note.displaced = displaces
    # Without a connection nobody reads this answer (R6.16).
    note.batch = slot.answer or Batch(QueueId(queue_id), ())
    return note.batch


async def _wait(
    request: Request, site: Site, queue_id: str, slot: AsgiSlot[Batch], *, displaces: bool
) -> None:
    """Waits for the answer to a poll, or until its client goes away."""
    note = note_of(request)
    descriptor = site.engine.shard.find(queue_id)
    spec = None if descriptor is None else descriptor.spec
    named: dict[str, Any] = {"queue_id": queue_id}
    if spec is not None:
        named |= {"user_id": spec.user_id, "client": spec.client_type_name}
    named["request_id"] = site.request_ids.shown(note.number)
    if displaces:
        site.log.info("poll displaced", **named)
    began = site.timer()
    is_over = False
    try:
        async with asyncio.timeout(_left(note, site)):
            await slot.wait_connected(request.receive)
    except TimeoutError:
        is_over = True
    finally:
        note.waited = site.timer() - began
        # The client went away, or the request was cancelled: what arrives now stays in the queue.
        if slot.answer is None:
            site.engine.lost(queue_id, slot)
            if not is_over:
                note.gone = True
                site.log.info("client disconnected", **named)
    if is_over and slot.answer is None:
        raise expired(note)


def _left(note: Note, site: Site) -> float | None:
    """Seconds until what the user was let in by comes to its end; None when it has none."""
    if note.admitted is None or note.admitted.ends_at == math.inf:
        return None
    return max(0.0, note.admitted.ends_at - site.now())


async def delete_events(request: Request, site: Site) -> Answer:
    """`DELETE /api/v1/events`: ends a queue (R6.63)."""
    user = await authenticated(request, site)
    elsewhere = await answer_from_elsewhere(request, site, user)
    if elsewhere is not None:
        return elsewhere
    parameters = await parameters_of(request, site.turns)
    noted_client(request, parameters)
    queue_id = parameters.required_text("queue_id")
    slot: AsgiSlot[QueueId] = AsgiSlot()
    site.engine.delete(queue_id, user_id=user.id, slot=slot)
    await slot.wait()
    return answers.success({}, ignored=parameters.ignored())


async def server_settings(request: Request, site: Site) -> Answer:
    """`GET /api/v1/server_settings`: what clients ask first, without logging in (R6.15)."""
    admit_anybody(note_of(request), site)
    parameters = Parameters(query_parameters(request))
    noted_client(request, parameters)
    payload: dict[str, Any] = {
        **site.compat.versions,
        "authentication_methods": {},
        "push_notifications_enabled": False,
        "is_incompatible": False,
        "email_auth_enabled": False,
        "require_email_format_usernames": True,
        "realm_url": f"{request.url.scheme}://{request.headers.get('host', '')}",
    }
    return answers.success(payload, ignored=parameters.ignored())


async def users_me(request: Request, site: Site) -> Answer:
    """`GET /api/v1/users/me`: the own account, as bots ask for it at their start."""
    user = await authenticated(request, site)
    parameters = Parameters(query_parameters(request))
    noted_client(request, parameters)
    return answers.success(described(user), ignored=parameters.ignored())
