"""`register`: makes a queue, and gives the state to which its events then apply (6C, section 7).

The queue comes first, so that from there on no change is missed. What was read may show any of the changes that came
while it was read; so all of them are applied to it, and the client goes on behind the last one.
"""

from typing import Any

import msgspec
from starlette.requests import Request

from tidewire.core.descriptor import QueueSpec
from tidewire.core.errors import BadEventQueueId, StateUnavailable, WireError
from tidewire.core.ids import QueueId, UserId
from tidewire.core.state import Batch
from tidewire.core.users import User
from tidewire.core.wire import encode_answer
from tidewire.http import answers
from tidewire.http.answers import Answer
from tidewire.http.body import parameters_of
from tidewire.http.login import authenticated
from tidewire.http.note import Note
from tidewire.http.noting import note_of, noted_client
from tidewire.http.registration import (
    Owner,
    Snapshot,
    capabilities_of_register,
    queue_spec,
    snapshot_parameters,
)
from tidewire.http.site import Site
from tidewire.http.slots import AsgiSlot
from tidewire.http.wrong_shard import answer_from_elsewhere
from tidewire.initial_state import Asked, StateSource

NOTHING_YET = -1
"""What a client acknowledges that has seen no event."""


async def register(request: Request, site: Site) -> Answer:
    """`POST /api/v1/register`: makes a queue and reads the state (R6.50-R6.57, R7.2)."""
    user = await authenticated(request, site)
    elsewhere = await answer_from_elsewhere(request, site, user)
    if elsewhere is not None:
        return elsewhere
    parameters = await parameters_of(request, site.turns)
    user_agent = request.headers.get("user-agent")
    client = noted_client(request, parameters)
    spec = queue_spec(
        parameters,
        owner=Owner.of(user, rights=site.authenticator.rights(user.id)),
        capabilities=capabilities_of_register(parameters, user_agent),
        client_name=client.name,
        idle_timeouts=site.idle_timeouts,
    )
    wanted = snapshot_parameters(parameters, spec)
    queue_id = await create_queue(site, spec, note_of(request))
    state: dict[str, Any] = {}
    last_event_id = NOTHING_YET
    if site.state is not None:
        asked = _asked(user, site, spec, wanted, queue_id)
        state, last_event_id = await _read_or_discard(site, site.state, asked)
    payload = {
        **state,
        "queue_id": queue_id,
        "last_event_id": last_event_id,
        "idle_queue_timeout_secs": spec.idle_timeout,
        **site.compat.versions,
    }
    return answers.success(payload, ignored=parameters.ignored())


async def create_queue(site: Site, spec: QueueSpec, note: Note) -> QueueId:
    """Makes a queue; gives its id once it is durable."""
    site.lifecycle.check_serving()
    slot: AsgiSlot[QueueId] = AsgiSlot()
    site.engine.register(spec, slot)
    queue_id = await slot.wait()
    site.sessions.use(note.admitted, queue_id)
    return queue_id


def _asked(user: User, site: Site, spec: QueueSpec, wanted: Snapshot, queue_id: QueueId) -> Asked:
    return Asked(
        user=user,
        realm=site.authenticator.realm(user.realm_id),
        queue_id=queue_id,
        fetch_types=wanted.fetch_types,
        event_types=spec.event_types,
        options=wanted.options,
    )


async def _read_or_discard(site: Site, source: StateSource, asked: Asked) -> tuple[dict[str, Any], int]:
    """The state and the last event that it shows. If that fails, nobody gets to know the queue, so it ends (R7.10)."""
    try:
        draft = await source.read(asked)
        events = await _events_so_far(site, asked)
        shown = await draft.apply(events)
    except BaseException:
        _discard(site, asked.queue_id, asked.user.id)
        raise
    return draft.state, events[shown - 1]["id"] if shown else NOTHING_YET


async def _events_so_far(site: Site, asked: Asked) -> list[dict[str, Any]]:
    """What the queue holds, as far as one answer goes; nothing is acknowledged by that.

    Raises:
        StateUnavailable: the queue has ended meanwhile.
    """
    slot: AsgiSlot[Batch] = AsgiSlot()
    try:
        site.engine.poll(
            asked.queue_id, user_id=asked.user.id, last_event_id=NOTHING_YET, block=False, slot=slot
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
        """Nobody is told."""


def _discard(site: Site, queue_id: str, user_id: UserId) -> None:
    try:
        site.engine.delete(queue_id, user_id=user_id, slot=_Nobody())
    except WireError:
        return  # it has ended, or the journal fails; then it expires in its time
