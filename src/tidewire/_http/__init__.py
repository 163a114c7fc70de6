"""HTTP as the client and the publisher speak it, on the standard library alone.

`Connection` and `AsyncConnection` send requests and give back an `Answer` for each, whatever its status;
`TransportFailed` means that no whole answer came. What an answer means is for their callers to say, and so is
whether to try again; `Backoff` says how long to wait before that.
"""

from tidewire._http.asynchronous import AsyncConnection
from tidewire._http.blocking import Connection
from tidewire._http.values import (
    CONNECT_TIMEOUT,
    MAX_RETRY_AFTER,
    REAL_ASYNC_TIMING,
    REAL_TIMING,
    Answer,
    AsyncTiming,
    Backoff,
    BadUrl,
    Timing,
    TransportFailed,
    bearer,
    error_of,
)

__all__ = [
    "CONNECT_TIMEOUT",
    "MAX_RETRY_AFTER",
    "REAL_ASYNC_TIMING",
    "REAL_TIMING",
    "Answer",
    "AsyncConnection",
    "AsyncTiming",
    "Backoff",
    "BadUrl",
    "Connection",
    "Timing",
    "TransportFailed",
    "bearer",
    "error_of",
]
