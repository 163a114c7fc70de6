"""Sample notices, and what the core gives each kind of client for one."""

from collections.abc import Iterator
from importlib import resources
from itertools import product
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from tidewire.core.events.capabilities import CAPABILITY_NAMES, Capabilities
from tidewire.core.events.encoding import encode_entry
from tidewire.core.ids import QueueId, RealmId, UserId
from tidewire.core.notices.notice import decode_notice
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.shard import Shard

RECIPIENT = UserId(10)
"""Whom every sample is for."""

REALM = RealmId(2)


class Sample(Struct, frozen=True, forbid_unknown_fields=True):
    """One line of `samples.jsonl`.

    Attributes:
        about: what happened, in a few words; empty where the type says it all.
        event: the event as an application publishes it.
        users: the notice's users.
    """

    about: str
    event: dict[str, Any]
    users: list[Any]

    @property
    def kind(self) -> str:
        """The event's type."""
        return str(self.event["type"])


class Outcome(NamedTuple):
    """What one client got of one notice: the JSON of its events, or the rule that refused them."""

    events: tuple[str, ...]
    refusal: str | None


Clients = dict[tuple[bool, ...], Outcome]
"""Outcomes by what a client has of the capabilities that matter."""


def samples() -> list[Sample]:
    """All of them, in the order of the file."""
    lines = resources.files("reference").joinpath("samples.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Sample) for line in lines]


def outcome(sample: Sample, capabilities: Capabilities) -> Outcome:
    """What a client with these capabilities gets.

    Raises:
        InvalidNotice: the sample is refused.
    """
    shard: Shard[None] = Shard()
    queue_id = QueueId("sample")
    spec = QueueSpec(user_id=RECIPIENT, realm_id=REALM, client_type_name="website", capabilities=capabilities)
    for record in shard.decide_register(spec, queue_id=queue_id, now=0):
        shard.apply(record)
    raw = msgspec.json.encode({"event": sample.event, "users": sample.users})
    for part in shard.decide_publish([decode_notice(raw)]):
        for failure in shard.apply(shard.decide_part(part, now=0)):
            raise failure.error
    batch = shard.poll(
        queue_id, user_id=RECIPIENT, last_event_id=-1, block=False, waiter=None, now=0, heartbeat_at=0
    )
    events = tuple(encode_entry(entry).decode() for entry in batch.entries) if batch else ()
    return Outcome(events, next(iter(shard.statistics.refused), None))


def what_matters(sample: Sample) -> list[str]:
    """The capabilities that make a difference to what the client gets, all others being off or all being on."""
    everything = dict.fromkeys(CAPABILITY_NAMES, True)
    nothing = dict.fromkeys(CAPABILITY_NAMES, False)
    return [
        name
        for name in CAPABILITY_NAMES
        if _differ(sample, everything, everything | {name: False})
        or _differ(sample, nothing, nothing | {name: True})
    ]


def by_client(sample: Sample) -> tuple[list[str], Clients]:
    """The capabilities that matter, and what clients get for each combination of them."""
    names = what_matters(sample)
    return names, {having: outcome(sample, _with(names, having)) for having in _combinations(names)}


def _differ(sample: Sample, one: dict[str, bool], other: dict[str, bool]) -> bool:
    return outcome(sample, Capabilities(**one)) != outcome(sample, Capabilities(**other))


def _combinations(names: list[str]) -> Iterator[tuple[bool, ...]]:
    return product((True, False), repeat=len(names))


def _with(names: list[str], having: tuple[bool, ...]) -> Capabilities:
    return Capabilities(**dict(zip(names, having, strict=True)))
