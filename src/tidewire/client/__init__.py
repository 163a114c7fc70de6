"""A synchronous client: registers event queues and reads them, on the standard library alone."""

from tidewire.client.client import Client
from tidewire.client.errors import (
    BadAnswer,
    BadUrl,
    ClientClosed,
    ClientError,
    ConnectionFailed,
    QueueGone,
    RequestRefused,
)
from tidewire.client.values import Gap, Registration

__all__ = [
    "BadAnswer",
    "BadUrl",
    "Client",
    "ClientClosed",
    "ClientError",
    "ConnectionFailed",
    "Gap",
    "QueueGone",
    "Registration",
    "RequestRefused",
]
