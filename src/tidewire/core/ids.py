"""The kinds of identifier, so that a type checker tells them apart."""

from typing import NewType

UserId = NewType("UserId", int)
RealmId = NewType("RealmId", int)
QueueId = NewType("QueueId", str)
