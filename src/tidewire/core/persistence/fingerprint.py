"""The fingerprint of the rules that shape queues (D4).

Records mean the same only under the rules that they were written under: which queue accepts an event, in which
shape, what is merged. The journal keeps the fingerprint of these rules beside its records, and recovery
compares it with its own. Rules are code; settings are kept whole (`core/state/state_settings.py`), for recovery can go back to them.
"""

import hashlib
from collections.abc import Mapping

import msgspec

RULES_VERSION = 2
"""Of the rules of this package: how events are shaped, accepted, numbered and merged. A change to one of them,
after which the same records could give other queues, raises it."""


def fingerprint(merged: Mapping[str, str]) -> str:
    """A short text that differs when the rules do.

    Args:
        merged: the event types that have a merge rule, with what it is called, if it is an application's.
    """
    content = msgspec.json.encode([RULES_VERSION, merged], order="deterministic")
    return hashlib.blake2b(content, digest_size=8).hexdigest()
