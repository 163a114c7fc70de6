"""Every processor gives each queue what a copy edited for that queue would say, and encodes each variant once."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.core_rig import Rig
from support.events import Json
from support.naive_shaping import EDITS, registration, shaped
from tidewire.core.delivery.processors import PROCESSORS
from tidewire.core.events.acceptance import Acceptance
from tidewire.core.events.capabilities import CAPABILITY_NAMES, Capabilities

TOPICS = st.sampled_from(["", "deploy", "general chat"])
IDS = st.integers(1, 9)
PLACES = st.sampled_from(["stream", "private", "direct"])


def an_event(kind: str, *, maybe: dict[str, Any] | None = None, **members: Any) -> st.SearchStrategy[Json]:
    """An event of a type, with some of its `maybe` members left out."""
    return st.fixed_dictionaries({"type": st.just(kind), **members}, optional=maybe or {})


def op(*names: str) -> st.SearchStrategy[str]:
    """One of some words."""
    return st.sampled_from(names)


DETAILS = st.dictionaries(
    IDS.map(str), st.fixed_dictionaries({"type": PLACES, "topic": TOPICS}), min_size=0, max_size=3
)
RECORD = st.fixed_dictionaries({"active_timestamp": IDS})
TABLE = st.dictionaries(IDS.map(str), st.just({"name": "tidal"}), max_size=2)
EVENTS: dict[str, st.SearchStrategy[Json]] = {
    "delete_message": an_event(
        "delete_message",
        message_ids=st.lists(IDS, max_size=3, unique=True),
        message_type=PLACES,
        maybe={"topic": TOPICS, "stream_id": IDS},
    ),
    "presence": an_event(
        "presence",
        maybe={"user_id": st.none() | IDS, "email": st.just("e@e"), "server_timestamp": st.just(1.5)}
        | {"modern_presence": RECORD | st.none()},
        legacy_presence=RECORD,
    )
    | an_event("presence", user_id=IDS, modern_presence=RECORD)
    | an_event("presence", user_id=IDS, presence=RECORD),
    "custom_profile_fields": an_event(
        "custom_profile_fields",
        fields=st.lists(st.fixed_dictionaries({"type": st.integers(0, 9), "id": IDS}), max_size=3),
        maybe={"extra": IDS},
    ),
    "realm_user": an_event(
        "realm_user", op=op("add", "update", "remove"), maybe={"inaccessible_user": st.booleans()}
    ).filter(lambda event: event["op"] == "add" or "inaccessible_user" not in event),
    "user_group": an_event(
        "user_group",
        op=op("add", "update", "remove", "add_members"),
        maybe={"data": st.dictionaries(op("name", "deactivated"), st.booleans())}
        | {"deactivated": st.booleans(), "for_reactivation": st.booleans()},
    ),
    "stream": an_event(
        "stream",
        op=op("create", "delete", "update"),
        maybe={"for_archiving": st.booleans(), "for_unarchiving": st.booleans()}
        | {"property": op("is_archived", "name")},
    ),
    "user_topic": an_event("user_topic", topic_name=TOPICS, stream_id=IDS),
    "typing": an_event("typing", message_type=PLACES, topic=TOPICS, maybe={"stream_id": IDS}),
    "update_message_flags": an_event(
        "update_message_flags",
        op=op("add", "remove"),
        flag=op("read", "starred"),
        messages=st.lists(IDS, max_size=2),
        all=st.booleans(),
        maybe={"message_details": DETAILS},
    ),
    "realm_emoji": an_event(
        "realm_emoji", op=op("add", "update_one", "update"), realm_emoji=TABLE, maybe={"emoji": IDS}
    ),
}

CLIENTS = st.builds(Capabilities, **{name: st.booleans() for name in CAPABILITY_NAMES})


def test_every_type_with_a_processor_is_modelled() -> None:
    elsewhere = {"cleanup_queue", "message", "restore_user", "revoke_user", "update_message"}
    assert set(EVENTS) == set(EDITS) == set(PROCESSORS) - elsewhere


@pytest.mark.parametrize("kind", EVENTS)
@given(data=st.data())
def test_each_queue_gets_what_a_copy_edited_for_it_says(kind: str, data: st.DataObject) -> None:
    event = data.draw(EVENTS[kind])
    clients = data.draw(st.lists(CLIENTS, min_size=1, max_size=6))
    rig = Rig()
    queue_ids = [rig.register(registration(client)) for client in clients]
    rig.publish(event)
    assert not rig.reporter.failures
    distinct: set[str] = set()
    for queue_id, client in zip(queue_ids, clients, strict=True):
        acceptance = Acceptance(registration(client).acceptance_key)
        wanted = [one for one in shaped(event, client) if acceptance.refusal(one) is None]
        got = rig.poll(queue_id).events
        assert got == [{**one, "id": number} for number, one in enumerate(wanted)]
        distinct |= {json.dumps(one, sort_keys=True) for one in wanted}
    assert rig.engine.shard.statistics.encoded == len(distinct)
