"""The fingerprint of everything that shapes queues (D4).

Records mean the same only under the rules that they were written under: which queue accepts an event, in which
shape, what is merged. The journal keeps the fingerprint of these rules beside its records, and recovery
compares it with its own.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

RULES_VERSION = 2
"""Of the rules of this package: how events are shaped, accepted, numbered and merged. A change to one of them,
after which the same records could give other queues, raises it."""


def fingerprint(merged: Mapping[str, str], settings: Mapping[str, Any]) -> str:
    """A short text that differs when the rules do.

    Args:
        merged: the event types that have a merge rule, with what it is called, if it is an application's.
        settings: those that shape queues, as plain values.
    """
    content = msgspec.json.encode([RULES_VERSION, merged, settings], order="deterministic")
    return hashlib.blake2b(content, digest_size=8).hexdigest()
