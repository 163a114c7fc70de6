"""Clients that register event queues and read them, on the standard library alone."""

from tidewire.client.async_client import AsyncClient
from tidewire.client.async_stream import AsyncEvents
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
from tidewire.client.live_state import LiveState
from tidewire.client.registration import Gap, Registration

__all__ = [
    "AsyncClient",
    "AsyncEvents",
    "BadAnswer",
    "BadUrl",
    "Client",
    "ClientClosed",
    "ClientError",
    "ConnectionFailed",
    "Gap",
    "LiveState",
    "QueueGone",
    "Registration",
    "RequestRefused",
]
