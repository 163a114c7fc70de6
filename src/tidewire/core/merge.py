"""Which events merge while they wait, and which close an open merge: a declared table (D3, R1.5-R1.9, R1.15).

A rule belongs to one event type. `key` says which waiting group an event joins (None: it never merges);
`closes` says which open groups the event ends, so that nothing is merged across it; `merge` makes one event
out of a group, or a few. A rule is right when the merged events leave a client in the state that the single
events would have left it in; `tidewire.testing.rules` puts that to the proof.

What a rule may rely on:

1. It is asked about events of its own type only. The events of a group are given to `merge` as their client
   would have seen them, oldest first, and at least two of them.
2. A merged event takes the place of the newest of its contributors. So the older ones pass whatever lies in
   between: events of other types, of other groups of the same type, and those that merge with nothing,
   unless `closes` names the group.
3. Nothing merges across a reading: what a client may have been given is never touched again.
4. `key` is asked once for an event, not once for each queue. Events must not be changed: queues share them.
5. If it raises, or gives what can't be used, no event is lost and none waits: they are delivered singly.
"""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeAlias

Event: TypeAlias = Mapping[str, Any]


class MergeRule(Protocol):
    """How waiting events of one type are compressed.

    A rule may have an attribute `version`: see `describe_rule`.
    """

    def key(self, event: Event) -> str | None:
        """The group that the event joins, or None when it stands alone."""

    def closes(self, event: Event, open_keys: Collection[str]) -> Collection[str]:
        """Those of the open groups that the event ends, so that later events start others.

        It is asked for every event of the type, and before the event joins its own group.
        """

    def merge(self, events: Sequence[Event]) -> Mapping[str, Any] | Sequence[Mapping[str, Any]]:
        """One event in place of several of one group, which are in the order in which they came.

        It may also be a list of events, never more than there were, when one can't say it all.
        """


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

    def closes(self, event: Event, open_keys: Collection[str]) -> Collection[str]:
        """R1.15, by sealing."""
        ended = []
        for key in open_keys:
            _, operation, flag = key.split("/", 2)
            if flag == str(event.get("flag")) and operation != _operation(event):
                ended.append(key)
        return ended

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


class RuleFailure(NamedTuple):
    """A rule failed; its events were delivered all the same, each on its own."""

    kind: str
    """The type that the rule belongs to."""
    times: int
    """How often it failed since that was last asked."""
    error: Exception
    """How it failed first."""


def merge_table(own: Mapping[str, MergeRule]) -> Mapping[str, MergeRule]:
    """The built-in rules and an application's.

    Raises:
        ValueError: a type has a built-in rule. Clients rely on what that does, so it can't be replaced.
    """
    taken = sorted(own.keys() & MERGE_RULES.keys())
    if taken:
        raise ValueError(f"the type {taken[0]!r} has a built-in merge rule, which can't be replaced")
    return MappingProxyType({**MERGE_RULES, **own})


def describe_rule(rule: MergeRule) -> str:
    """A name for what the rule does: equal for rules that merge alike, also in another process.

    Groups that were formed under one name are not merged under another. The name is the class with the rule's
    `repr`, where it has one of its own, and with its attribute `version`, which its author changes when it is to
    merge differently.
    """
    kind = type(rule)
    name = f"{kind.__module__}.{kind.__qualname__}"
    shown = "" if kind.__repr__ is object.__repr__ else f" {rule!r}"
    version = getattr(rule, "version", None)
    return name + shown + ("" if version is None else f" version {version}")


def describe_rules(rules: Mapping[str, MergeRule]) -> dict[str, str]:
    """What an application's rules are called, by type; the built-in ones are the server's version."""
    return {kind: describe_rule(rule) for kind, rule in rules.items() if kind not in MERGE_RULES}
