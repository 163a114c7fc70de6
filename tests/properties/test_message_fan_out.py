"""Messages: grouping recipients and sharing bytes is the same as copying and encoding for each queue."""

import copy
import hashlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from support.core_rig import Rig
from support.events import Json
from support.messages import WIDE, message, publish, reader
from tidewire.core.events.acceptance import Acceptance
from tidewire.core.events.presentation import Presentation
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.shard import Shard

USERS = st.integers(1, 4)
CHANNELS = st.sampled_from(["ops", "OPS", "sales"])
CLIENTS = st.sampled_from(["website", "x-mirror", "X-Mirror"])
TERMS = st.one_of(
    st.tuples(st.sampled_from(["channel", "stream"]), CHANNELS),
    st.tuples(st.just("is"), st.sampled_from(["unread", "mentioned", "dm"])),
    st.tuples(st.just("topic"), st.sampled_from(["General Chat", "deploy"])),
    st.tuples(st.just("sender"), st.sampled_from(["user31@chat.example", "user31@acme.example"])),
)
QUEUES = st.lists(
    st.builds(
        reader,
        USERS,
        client=CLIENTS,
        apply_markdown=st.booleans(),
        client_gravatar=st.booleans(),
        empty_topic_name=st.booleans(),
        narrow=st.lists(TERMS, max_size=2).map(tuple),
        all_public_streams=st.booleans(),
        may_access_public_channels=st.booleans(),
        event_types=st.sampled_from([None, ("message",), ("reaction",)]),
    ),
    max_size=6,
)
FLAGS = st.lists(st.sampled_from(["read", "mentioned", "starred"]), unique=True, max_size=2)
RECIPIENTS = st.dictionaries(USERS, FLAGS, max_size=4)
MESSAGES = st.builds(
    message,
    st.fixed_dictionaries(
        {},
        optional={
            "invite_only": st.booleans(),
            "stream_name": st.none(),
            "realm_id": st.sampled_from([1, 2]),
            "realm_host": st.sampled_from(["acme.example", "localhost:1"]),
            "user_ids_without_access_to_sender": st.lists(USERS),
            "sender_queue_id": st.sampled_from(["queue-1", "queue-2"]),
            "local_id": st.just("12.01"),
            "internal_data": st.just({"secret": 1}),
        },
    ),
    subject=st.sampled_from(["", "deploy"]),
    type=st.sampled_from(["stream", "private"]),
    display_recipient=CHANNELS,
    client=CLIENTS,
    sender_avatar_source=st.sampled_from(["G", "U"]),
    sender_email_address_visibility=st.sampled_from([1, 3]),
)


def payload(event: Json, spec: QueueSpec, *, hidden: bool) -> Json:
    """What one queue gets, by the book (R4.12)."""
    can = spec.capabilities
    wide: Json = copy.deepcopy(event["message_dict"])
    if wide["type"] == "stream" and wide["subject"] == "" and not can.empty_topic_name:
        wide["subject"] = "general chat"
    version = f"version={wide['sender_avatar_version']}"
    if wide["sender_avatar_source"] == "U":
        digest = hashlib.sha1(b"31salt").hexdigest()  # noqa: S324 - no secret: the name of a file
        wide["avatar_url"] = f"/user_avatars/1/{digest}.png?{version}"
    elif can.client_gravatar and wide["sender_email_address_visibility"] == 1:
        wide["avatar_url"] = None
    else:
        digest = hashlib.md5(b"ana@chat.example").hexdigest()  # noqa: S324 - what the service asks for
        wide["avatar_url"] = f"https://secure.gravatar.com/avatar/{digest}?d=identicon&{version}"
    if hidden:
        host = "acme.example" if event.get("realm_host") == "acme.example" else "site.example"
        wide["sender_full_name"], wide["sender_email"] = "Unknown user", f"user31@{host}"
        wide["avatar_url"] = "/static/images/unknown-user-avatar.png"
    if can.apply_markdown:
        wide["content"] = wide["rendered_content"]
    wide["content_type"] = "text/html" if can.apply_markdown else "text/x-markdown"
    if event["invite_only"] and "mirror" in spec.client_type_name:
        wide["invite_only_stream"] = True
    private = [name for name in WIDE if name.startswith(("sender_", "recipient_", "rendered", "can_"))]
    kept = {"sender_id", "sender_full_name", "sender_email", "sender_realm_str", "recipient_id"}
    for name in set(private) - kept:
        del wide[name]
    return wide


def expected(
    event: Json, users: dict[int, list[str]], spec: QueueSpec, queue_id: str, *, narrow_hears: bool
) -> Json | None:
    """The event of one queue, or None (R4.8 and R4.10)."""
    asks = spec.all_public_streams or (bool(spec.narrow) and narrow_hears)
    public = event["stream_name"] is not None and not event["invite_only"] and event["realm_id"] == 1
    hears = asks and spec.may_access_public_channels and public
    if spec.user_id not in users and not hears:
        return None
    flags = users.get(spec.user_id, [])
    hidden = spec.user_id in event.get("user_ids_without_access_to_sender", [])
    shown: Json = {"type": "message", "message": payload(event, spec, hidden=hidden), "flags": flags}
    if event.get("sender_queue_id") == queue_id and "local_id" in event:
        shown["local_message_id"] = event["local_id"]
    sending = event["message_dict"]["client"]
    loops = "mirror" in sending and sending.lower() == spec.client_type_name.lower()
    refused = Acceptance(spec.acceptance_key).refusal(shown, tuple(flags)) is not None
    return None if refused or loops else shown


@given(
    QUEUES, st.lists(st.tuples(MESSAGES, RECIPIENTS), min_size=1, max_size=3), st.booleans(), st.booleans()
)
def test_each_queue_gets_what_copying_and_encoding_for_it_would_give(
    queues: list[QueueSpec], sent: list[tuple[Json, dict[int, list[str]]]], narrow_hears: bool, bare: bool
) -> None:
    presentation = Presentation(
        realm_host="site.example", avatar_salt="salt", narrow_hears_public_channels=narrow_hears
    )
    rig = Rig(shard=Shard(presentation=presentation))
    queue_ids = [rig.register(wanted) for wanted in queues]
    for event, users in sent:
        said: list[Any] = [
            user if bare and not flags else {"id": user, "flags": flags} for user, flags in users.items()
        ]
        publish(rig, event, said)
    assert rig.reporter.failures == []
    for wanted, queue_id in zip(queues, queue_ids, strict=True):
        shown = [expected(event, users, wanted, queue_id, narrow_hears=narrow_hears) for event, users in sent]
        events = [event for event in shown if event is not None]
        got = rig.poll(queue_id, user=wanted.user_id).events
        assert got == [{**event, "id": number} for number, event in enumerate(events)]
    assert rig.engine.shard.statistics.encoded <= 16 * len(sent) * 2
