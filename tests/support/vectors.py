"""Recorded sequences: reading them, and comparing what was played with what was recorded.

How results compare:
- events in order, every key and the id; `"$any"` stands for anything; `true` is not `1`, but `1` is `1.0`;
- `flags_semantic`: the flags that remain after all events, and the other events in order without their ids;
- errors by code and sentence; removed queues as sets; completions and published records as multisets.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any, TypeAlias

Event: TypeAlias = dict[str, Any]
Result: TypeAlias = dict[str, Any]
Vector: TypeAlias = dict[str, Any]

ANYTHING = "$any"

SETTINGS = (
    "queues.offline_after=0",
    "queues.min_idle_timeout=0",
    "queues.collect_every=0",
    "compat.realm_host=zulip.example.com",
    "compat.avatar_salt=avatarsalt0123456789",
)
"""What the sequences were recorded under."""


def read_vector(path: Path) -> Vector:
    """The sequence in a file."""
    vector = json.loads(path.read_bytes())
    assert isinstance(vector, dict)
    return vector


def differences(vector: Vector, got: Result) -> list[str]:
    """What differs between the recorded result and the played one; empty when they agree."""
    want: Result = vector["expect"]
    semantic = vector.get("compare", "exact") == "flags_semantic"
    found: list[str] = []
    for part, asked in (("register", vector["clients"]), ("steps", vector["steps"])):
        if len(want[part]) != len(got[part]):
            return [f"{part}: {len(got[part])} results instead of {len(want[part])}"]
        for number, (step, wanted, given) in enumerate(zip(asked, want[part], got[part], strict=True)):
            if semantic and part == "steps" and _is_later_poll(number, step):
                continue
            if not _same_result(wanted, given, semantic=semantic):
                found.append(f"{part}[{number}]: wanted {wanted}, got {given}")
    found += [
        f"{part}: wanted {want[part]}, got {got[part]}"
        for part in ("completions", "published")
        if not _same_multiset(want[part], got[part])
    ]
    return found


def _is_later_poll(number: int, step: dict[str, Any]) -> bool:
    """A poll whose acknowledgement depends on ids, which merging in another way makes others."""
    return bool(number) and "poll" in step and step["poll"]["last_event_id"] != -1


def _same_result(want: Result, got: Result, *, semantic: bool) -> bool:
    if "events" in want:
        return "events" in got and _same_events(want["events"], got["events"], semantic=semantic)
    if "error" in want:
        error = got.get("error", {})
        return all(want["error"][key] == error.get(key) for key in ("code", "msg"))
    if "removed" in want and "removed" in got:
        return sorted(want["removed"]) == sorted(got["removed"])
    return matches(want, got)


def _same_events(want: list[Event], got: list[Event], *, semantic: bool) -> bool:
    if not semantic:
        return matches(want, got)
    (want_flags, want_rest), (got_flags, got_rest) = _flags_and_rest(want), _flags_and_rest(got)
    ids = [event["id"] for event in got]
    return want_flags == got_flags and matches(want_rest, got_rest) and ids == sorted(set(ids))


def _flags_and_rest(events: list[Event]) -> tuple[dict[tuple[str, object], str], list[Event]]:
    flags: dict[tuple[str, object], str] = {}
    rest: list[Event] = []
    for event in events:
        bare = {key: value for key, value in event.items() if key != "id"}
        if event["type"] != "update_message_flags":
            rest.append(bare)
        elif event["all"]:
            flags[event["flag"], "all"] = event["op"]
        else:
            flags.update({(event["flag"], message): event["op"] for message in event["messages"]})
            if (event["op"], event["flag"]) == ("remove", "read"):
                rest.append(bare)
    return flags, rest


def matches(want: object, got: object) -> bool:
    """Whether a recorded value and a played one are the same."""
    if want == ANYTHING:
        return True
    if isinstance(want, dict) and isinstance(got, dict):
        return want.keys() == got.keys() and all(matches(want[key], got[key]) for key in want)
    if isinstance(want, list) and isinstance(got, list):
        return len(want) == len(got) and all(map(matches, want, got))
    return isinstance(want, bool) == isinstance(got, bool) and want == got


def _same_multiset(want: list[Any], got: list[Any]) -> bool:
    if Counter(map(_key, want)) == Counter(map(_key, got)):
        return True
    return matches(sorted(want, key=_key), sorted(got, key=_key))


def _key(value: object) -> str:
    return json.dumps(value, sort_keys=True)
