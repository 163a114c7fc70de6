"""Which events merge while they wait, and which close an open merge: a declared table (D3, R1.5-R1.9, R1.15).

A rule belongs to one event type. `key` says which waiting group an event joins (None: it never merges);
`closes` says which open groups the event ends, so that nothing is merged across it; `merge` makes one event
out of a group. A rule is right when the merged events leave a client in the state that the single events
would have left it in.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

Event: TypeAlias = Mapping[str, Any]


class MergeRule(Protocol):
    """How waiting events of one type are compressed."""

    def key(self, event: Event) -> str | None:
        """The group that the event joins, or None when it stands alone."""

    def closes(self, event: Event, open_key: str) -> bool:
        """Whether the event ends the open group `open_key`, so that later events start another."""

    def merge(self, events: Sequence[Event]) -> dict[str, Any]:
        """One event in place of several of one group, in the order in which they came."""


class FlagChanges:
    """`update_message_flags`: changes of one flag in one direction join their lists of messages.

    Removals of `read` stay apart, because each carries details that belong to its messages (R1.6), and so do
    changes of all messages. Any change closes the open group of the opposite direction on its flag (R1.15),
    so that the last change of a message stays the last. Changes in the same direction may pass each other:
    whatever their order, they leave the same flags.
    """

    def key(self, event: Event) -> str | None:
        """R1.5 and R1.6; an event without a list of messages or a named flag can't be merged."""
        mergeable = isinstance(event.get("messages"), list) and isinstance(event.get("flag"), str)
        if event.get("all") or not mergeable:
            return None
        key = f"flags/{_operation(event)}/{event.get('flag')}"
        return None if key.startswith("flags/remove/read") else key

    def closes(self, event: Event, open_key: str) -> bool:
        """R1.15, by sealing."""
        _, operation, flag = open_key.split("/", 2)
        return flag == str(event.get("flag")) and operation != _operation(event)

    def merge(self, events: Sequence[Event]) -> dict[str, Any]:
        """R1.9: all messages in order, the newest time, everything else from the first event."""
        merged = dict(events[0])
        merged["messages"] = [message for event in events for message in event["messages"]]
        for event in events:
            if "timestamp" in event:
                merged["timestamp"] = event["timestamp"]
        return merged


def _operation(event: Event) -> str:
    """The older name `operation` counts; producers that only write `op` are understood (R1.5)."""
    return str(event.get("operation", event.get("op")))


MERGE_RULES: Mapping[str, MergeRule] = MappingProxyType({"update_message_flags": FlagChanges()})
"""The built-in rules, by event type."""
