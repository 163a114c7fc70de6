"""Merge rules for an application's own event types; the public import path of what `events/coalescing.py` defines."""

from tidewire.core.events.coalescing import AddRemove, Counter, LatestByKey, MergeRule, Union

__all__ = ("AddRemove", "Counter", "LatestByKey", "MergeRule", "Union")
