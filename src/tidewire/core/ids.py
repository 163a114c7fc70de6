"""The kinds of identifier, so that a type checker tells them apart."""

from typing import NewType

UserId = NewType("UserId", int)
RealmId = NewType("RealmId", int)
QueueId = NewType("QueueId", str)
EventId = NewType("EventId", int)
"""Position of an event in one queue: starts at 0, rises, means nothing in another queue (R1.3)."""
