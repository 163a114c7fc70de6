"""What the shard machine feeds in: registrations, events and notices, few enough that they meet."""

from hypothesis import strategies as st

from support.events import Json, flags
from support.shard_model import MESSAGES
from support.whole_messages import recipient
from tidewire.core.events.capabilities import Capabilities
from tidewire.core.ids import RealmId, UserId
from tidewire.core.queues.descriptor import QueueSpec

USERS = (1, 2)

FEW_MESSAGES = st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=3)
PLAIN = st.one_of(
    st.builds(lambda n: {"type": "deploy", "n": n, "id": "its own"}, st.integers(0, 99)),
    st.builds(lambda n: {"type": "deploy", "text": "é" * n}, st.integers(0, 60)),
    st.builds(lambda n: {"type": "typing", "stream_id": n}, st.integers(0, 2)),
    st.just({"type": "typing", "op": "start"}),
    st.just({"type": "muted_topics", "muted_topics": []}),
)
CHANGES = st.one_of(
    st.builds(flags, st.just("add"), st.sampled_from(["read", "starred", "collapsed"]), FEW_MESSAGES),
    st.builds(flags, st.just("remove"), st.sampled_from(["starred", "collapsed"]), FEW_MESSAGES),
    st.builds(lambda messages: flags("remove", "read", messages, message_details={"1": {}}), FEW_MESSAGES),
    st.builds(
        lambda op, flag: flags(op, flag, [], for_all=True),
        st.sampled_from(["add", "remove"]),
        st.sampled_from(["read", "starred"]),
    ),
)
EVENTS = st.one_of(PLAIN, CHANGES, CHANGES)
NOTICES = st.fixed_dictionaries(
    {"event": EVENTS, "users": st.lists(st.sampled_from(USERS), min_size=1, max_size=4)},
    optional={"id": st.sampled_from("abcd"), "realm_id": st.sampled_from([1, 2])},
)
IDS = st.lists(st.sampled_from(USERS), max_size=2)
WHOM_TO_NOTIFY = st.fixed_dictionaries(
    {
        "presence_idle_user_ids": IDS,
        "online_push_user_ids": IDS,
        "stream_push_user_ids": IDS,
        "stream_email_user_ids": IDS,
    }
)
NOTHING_ASKED: Json = {"presence_idle_user_ids": [], "online_push_user_ids": []}
RECIPIENTS = st.lists(
    st.builds(recipient, st.sampled_from(USERS), st.sampled_from(["read", "mentioned"])),
    min_size=1,
    max_size=3,
)
ABOUT_MESSAGES = st.one_of(
    st.tuples(st.sampled_from(["direct", "channel", "channel"]), RECIPIENTS, WHOM_TO_NOTIFY),
    st.tuples(st.just("edit"), RECIPIENTS, WHOM_TO_NOTIFY),
    st.tuples(st.just("cleanup"), RECIPIENTS, WHOM_TO_NOTIFY),
)
"""A message, an edit of one, or the end of a queue; with whom it is for and whom to notify."""
SPECS = st.builds(
    lambda user, realm, types, typing, idle: QueueSpec(
        user_id=UserId(user),
        realm_id=RealmId(realm),
        event_types=types,
        capabilities=Capabilities(stream_typing_notifications=typing),
        idle_timeout=idle,
    ),
    st.sampled_from(USERS),
    st.sampled_from([1, 1, 1, 2]),
    st.sampled_from([None, None, None, ("deploy",), ("message",), ("update_message_flags", "typing")]),
    st.booleans(),
    st.sampled_from([60, 130, 1000]),
)
ANSWER_BOUNDS = st.sampled_from([0, 60, 150, 250, 400, 1_000_000])
BOUNDS = st.fixed_dictionaries(
    {
        "max_events": st.sampled_from([0, 0, 4, 12]),
        "max_bytes": st.sampled_from([0, 0, 400]),
        "max_per_user": st.sampled_from([0, 0, 2, 3]),
        "tombstones_max": st.sampled_from([2, 1000]),
    }
)
