"""Batches of notices: what their decisions rest on, what they change, and so how a batch is parted.

All notices of a record are decided before the first of them is applied. So a notice whose decision rests on
what an earlier one changes begins a new record. Most batches are one.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from tidewire.core.notices.notice import Notice
from tidewire.core.notifications.candidates import Candidates

QUEUES = "queues"
"""Which queues there are."""

MISSED = "missed"
"""What users may have missed, which stands in their queues."""


class Dependence(NamedTuple):
    """What notices of one type read and change, which decides whether they fit in one batch."""

    rests_on: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()


DEPENDENCES: Mapping[str, Dependence] = MappingProxyType(
    {
        "message": Dependence(rests_on=frozenset({QUEUES}), changes=frozenset({MISSED})),
        "update_message": Dependence(rests_on=frozenset({QUEUES})),
        "cleanup_queue": Dependence(
            rests_on=frozenset({QUEUES, MISSED}), changes=frozenset({QUEUES, MISSED})
        ),
        # Who is revoked is told nothing, so nothing has to be decided.
        "realm_user": Dependence(changes=frozenset({QUEUES, MISSED})),
        "restore_user": Dependence(changes=frozenset({QUEUES})),
        "revoke_user": Dependence(changes=frozenset({QUEUES, MISSED})),
    }
)
"""Types that are not here need no decision, and change nothing that one rests on."""


class PublishBatch(NamedTuple):
    """Notices that are decided together and become one record, each with its candidates."""

    notices: Sequence[Notice]
    candidates: Sequence[Candidates]


def split_batches(notices: Sequence[Notice], candidates: Sequence[Candidates]) -> list[PublishBatch]:
    """A batch in order, in as few parts as can each be decided before any of it is applied."""
    if len(notices) == 1:
        return [PublishBatch(notices, candidates)]
    parts: list[PublishBatch] = []
    begin = 0
    changed: frozenset[str] = frozenset()
    for place, notice in enumerate(notices):
        dependence = DEPENDENCES.get(notice.kind)
        if dependence is None:
            continue
        if not changed.isdisjoint(dependence.rests_on):
            parts.append(PublishBatch(notices[begin:place], candidates[begin:place]))
            begin, changed = place, frozenset()
        changed |= dependence.changes
    if begin < len(notices):
        parts.append(PublishBatch(notices[begin:], candidates[begin:]))
    return parts
