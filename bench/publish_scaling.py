"""Publishing to 10 queues costs the same among 500 queues as among 50,000: nothing is searched."""

import random

import msgspec

from measure import Case, alternate, print_table
from shards import Kept, acknowledge_all, engine_with_queues
from tidewire.core.notices.notice import decode_notice

RECIPIENTS = 10
NOTICES = 400
"""Of one round; each goes to other users, all of them spread over the whole shard."""


def main(*, rounds: int) -> None:
    """Measures and prints."""
    cases = {f"{count:,} queues": _case(count, 500) for count in (500, 5_000, 50_000)}
    cases["50,000 queues, all in use"] = _case(50_000, 50_000)
    timings = alternate(cases, rounds=rounds)
    print_table("Publish to 10 queues of many", timings, unit="us a notice", base="500 queues")


def _case(count: int, used: int) -> Case:
    engine, queue_ids = engine_with_queues(count)
    chance = random.Random(2)
    known = range(0, count, count // used)
    recipients = [chance.sample(known, RECIPIENTS) for _ in range(NOTICES)]
    raws = [
        msgspec.json.encode({"event": {"type": "benchmark", "text": "x" * 600}, "users": users})
        for users in recipients
    ]

    def run() -> int:
        for raw in raws:
            engine.publish([decode_notice(raw)], Kept())
        return NOTICES

    def acknowledge() -> None:
        acknowledge_all(engine, {queue_ids[user] for users in recipients for user in users})

    return Case(run, acknowledge)
