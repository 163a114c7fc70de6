"""A message to 10,000 users: what deciding about notifications adds to the fan-out."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from measure import Case, alternate, print_table
from messages import WIDE_MESSAGE, readers
from shards import Kept, acknowledge_all, engine_with_queues
from tidewire.core.notices.notice import decode_notice

QUEUES = 10_000
PLAIN = {"type": "benchmark", "message_dict": WIDE_MESSAGE}
EVENT: dict[str, Any] = {"type": "message", "message_dict": WIDE_MESSAGE}
USERS = list(range(QUEUES))
OBJECTS = readers(QUEUES)
READ = [{**user, "flags": ["read"]} for user in OBJECTS]


def main(*, rounds: int) -> None:
    """Measures and prints."""
    cases = {
        "an event that is no message": _case(PLAIN, USERS),
        "a message, users as ids": _case(EVENT, USERS),
        "a message, users as objects": _case(EVENT, OBJECTS),
        "a message, all with a flag": _case(EVENT, READ),
        "100 want it pushed, and are there": _case({**EVENT, "stream_push_user_ids": USERS[:100]}, OBJECTS),
        "all want it pushed, and are there": _case({**EVENT, "stream_push_user_ids": USERS}, OBJECTS),
        "all get a push and an email": _case(
            {
                **EVENT,
                "stream_push_user_ids": USERS,
                "stream_email_user_ids": USERS,
                "presence_idle_user_ids": USERS,
            },
            OBJECTS,
        ),
    }
    timings = alternate(cases, rounds=rounds)
    base = next(iter(cases))
    print_table(f"A message to {QUEUES:,} idle queues", timings, unit="us a recipient", base=base)


def _case(event: Mapping[str, Any], users: Sequence[Any]) -> Case:
    engine, queue_ids = engine_with_queues(QUEUES)
    notice = decode_notice(msgspec.json.encode({"event": event, "users": users}))

    def run() -> int:
        engine.publish([notice], Kept())
        return QUEUES

    def acknowledge() -> None:
        acknowledge_all(engine, queue_ids)
        for name in ("missedmessage_emails", "missedmessage_mobile_notifications"):
            page = engine.shard.outbox_page(name, after=0, limit=2 * QUEUES)
            if page.records:
                engine.acknowledge_outbox(name, through=page.records[-1][0], waiter=Kept())

    return Case(run, acknowledge)
