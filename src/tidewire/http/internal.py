"""The internal views: the application's side of queues, and publishing (6E)."""

import logging

from starlette.requests import Request

from tidewire.core.errors import BadRequest, WireError
from tidewire.core.ids import RealmId, UserId
from tidewire.core.notice import Notice, decode_notice, decode_notices
from tidewire.http import answers
from tidewire.http.admission import admit_internal, check_internal_address
from tidewire.http.answers import Answer
from tidewire.http.body import form_parameters, query_parameters, read_body
from tidewire.http.noting import note_of, noted_client
from tidewire.http.parameters import Parameters
from tidewire.http.public import poll_or_create
from tidewire.http.publishing import Spread
from tidewire.http.registration import Owner
from tidewire.http.site import Site
from tidewire.http.slots import AsgiSlot
from tidewire.http.wrong_shard import check_hop, hops_of, internal_from_elsewhere
from tidewire.ports import Slot

MAX_NOTICES_BYTES = 16 * 1024 * 1024
"""Of one request to publish: thousands of notices, decoded in well under a second."""


async def internal_parameters(request: Request, site: Site) -> Parameters:
    """The parameters of a request that may only come from inside, its secret checked and taken out."""
    note = note_of(request)
    check_internal_address(note, site)
    form = await form_parameters(request, MAX_NOTICES_BYTES)
    admit_internal(note, site, form.pop("secret", None))
    parameters = Parameters(query_parameters(request) | form)
    noted_client(request, parameters)
    return parameters


def check_internal(request: Request, site: Site) -> None:
    """Checks a request that has no form, so that its secret can only be in the header.

    One that was let in already, for its session in the console, needs no secret.
    """
    note = note_of(request)
    if note.internal:
        return
    check_internal_address(note, site)
    admit_internal(note, site, None)


async def events_internal(request: Request, site: Site) -> Answer:
    """`POST /api/v1/events/internal`: makes or reads a queue on a user's behalf (R6.68)."""
    parameters = await internal_parameters(request, site)
    owner = _owner(parameters, site)
    form = dict(parameters.given)
    elsewhere = await internal_from_elsewhere(request, site, form, owner.user_id, owner.realm_id)
    if elsewhere is not None:
        return elsewhere
    return await poll_or_create(request, site, parameters, owner=owner, client="internal")


def _owner(parameters: Parameters, site: Site) -> Owner:
    """The named user; one that the users file doesn't know is described by the caller."""
    user_id = UserId(parameters.required_integer("user_profile_id", minimum=0))
    realm_id = parameters.integer("realm_id", minimum=0)
    may_access = parameters.boolean("can_access_public_streams", default=False)
    user = site.authenticator.user(user_id)
    if user is not None:
        return Owner.of(user, rights=site.authenticator.rights(user_id))
    if realm_id is None:
        raise BadRequest(f"User {user_id} is not known here; give its realm_id too")
    return Owner(user_id=user_id, realm_id=RealmId(realm_id), may_access_public_channels=may_access)


async def notify_tornado(request: Request, site: Site) -> Answer:
    """`POST /api/internal/notify_tornado`: one notice in the form field `data` (R6.69)."""
    parameters = await internal_parameters(request, site)
    notice = decode_notice(parameters.required_text("data").encode())
    failed = await _publish([notice], request, site)
    return failed or answers.success({}, ignored=parameters.ignored())


async def notices(request: Request, site: Site) -> Answer:
    """`POST /api/internal/notices`: one notice, a list, or one a line; answered once all are durable."""
    check_internal(request, site)
    body = await read_body(request, MAX_NOTICES_BYTES)
    taken = notices_of(body)
    failed = await _publish(taken, request, site)
    return failed or answers.success({"accepted": len(taken)})


async def web_reload_clients(request: Request, site: Site) -> Answer:
    """`POST /api/internal/web_reload_clients`: tells web clients of an earlier process to reload (R6.70)."""
    parameters = await internal_parameters(request, site)
    count = parameters.integer("client_count", minimum=0)
    immediate = parameters.boolean("immediate", default=False)
    site.lifecycle.check_serving()
    taken = site.engine.reload_clients(immediate=immediate, count=count)
    payload = {"sent_events": taken, "complete": count is None or taken < count}
    return answers.success(payload, ignored=parameters.ignored())


async def revoke_session(request: Request, site: Site) -> Answer:
    """`POST /api/internal/revoke_session`: a session or token lets nobody in any more; what it had ends."""
    parameters = await internal_parameters(request, site)
    session = parameters.required_text("session")
    if site.door is not None:
        site.door.revoke(session, site.now())
    ended = site.engine.revoke((), site.sessions.take(session))
    return answers.success({"queues_ended": ended}, ignored=parameters.ignored())


async def _publish(taken: list[Notice], request: Request, site: Site) -> Answer | None:
    """Has the notices of a request carried out, here and elsewhere; None when they were, else another shard's refusal."""
    return await publish_everywhere(taken, site, hops=hops_of(request))


async def publish_everywhere(taken: list[Notice], site: Site, *, hops: int) -> Answer | None:
    """Has notices carried out that were sent on so many times; None when they were, else another shard's refusal.

    Raises:
        WireError: they can't be taken; with an `index` it is that one, and none of this shard's was.
    """
    slot: AsgiSlot[int] = AsgiSlot()
    neighbours = site.neighbours
    if neighbours is None:
        publish(taken, site, slot)
        await slot.wait()
        return None
    await neighbours.hold(taken)
    # From here to the publication nothing waits: who is where stays as it is.
    with neighbours.splitting():
        spread = Spread(taken, neighbours, hops=hops)
        if spread.goes_elsewhere:
            check_hop(hops + 1, neighbours)
        site.lifecycle.check_serving()
        if spread.own:
            # First: what is refused here is sent to nobody.
            try:
                publish(spread.own, site, slot)
            except WireError as error:
                spread.place_again(error)
                raise
        refusal = await spread.publish_elsewhere()
        if spread.own:
            await slot.wait()
    return refusal


def publish(taken: list[Notice], site: Site, slot: Slot[int]) -> None:
    """Hands notices to the engine, which answers the slot with how many there were.

    Raises:
        WireError: they can't be taken; none was.
    """
    site.lifecycle.check_serving()
    began = site.timer()
    site.engine.publish(taken, slot)
    if site.log.is_enabled_for(logging.DEBUG):
        _log_notices(taken, site, site.timer() - began)


def notices_of(body: bytes) -> list[Notice]:
    """The notices of a request body, at least one.

    Raises:
        InvalidNotice: one of them is wrong.
        BadRequest: there is none.
    """
    taken = decode_notices(body)
    if not taken:
        raise BadRequest("The request has no notice in its body")
    return taken


def _log_notices(taken: list[Notice], site: Site, seconds: float) -> None:
    """R11.12; the time is that of the whole request, whose notices are carried out as one."""
    for notice in taken:
        site.log.debug(
            "notice", type=notice.kind, users=len(notice.users), duration_ms=round(seconds * 1000, 3)
        )
