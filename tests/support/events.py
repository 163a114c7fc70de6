"""Events and notices as tests write them."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


def decode(data: bytes) -> Json:
    """A JSON object."""
    decoded = json.loads(data)
    assert isinstance(decoded, dict)
    return decoded


def notice(event: Json, users: Sequence[int | Json] = (1,), **members: Any) -> bytes:
    """A notice as a publisher writes it."""
    return json.dumps({"event": event, "users": list(users), **members}).encode()


def flags(op: str, flag: str, messages: Sequence[int], *, for_all: bool = False, **members: Any) -> Json:
    """A change of flags, as the application sends it."""
    event = {"type": "update_message_flags", "op": op, "operation": op, "flag": flag}
    return {**event, "messages": list(messages), "all": for_all, **members}


def state_of_flags(events: Sequence[Json], messages: Sequence[int]) -> set[tuple[str, int]]:
    """The (flag, message) pairs that are set once a client has followed the events."""
    state: set[tuple[str, int]] = set()
    for event in events:
        if event["type"] == "update_message_flags":
            touched = messages if event.get("all") else event["messages"]
            change = {(event["flag"], message) for message in touched}
            state = state | change if event["op"] == "add" else state - change
    return state


Runs = list[tuple[str, Counter[int]]]
"""Changes of one flag: runs of one direction, each with how often it names each message (0: all messages)."""


def runs_of_changes(events: Sequence[Json], flag: str) -> Runs:
    """The single changes of a flag. Within a run of one direction their order makes no difference."""
    runs: Runs = []
    for event in events:
        if event["type"] != "update_message_flags" or event["flag"] != flag:
            continue
        if not runs or runs[-1][0] != event["op"]:
            runs.append((event["op"], Counter()))
        runs[-1][1].update([0] if event.get("all") else event["messages"])
    return runs


def is_beginning(some: Runs, whole: Runs) -> bool:
    """Whether `some` is what `whole` begins with: all runs but the last are whole, and none has more."""
    full, last = some[:-1], some[-1:]
    rest = whole[len(full) : len(full) + 1]
    within = all(
        op == of and changes <= among for (op, changes), (of, among) in zip(last, rest, strict=False)
    )
    return full == whole[: len(full)] and len(last) <= len(rest) and within
