"""Tidewire: a real-time event-queue server.

The package root holds the version and the base of every error, and imports nothing.
"""

__version__ = "0.1.0"


class TidewireError(Exception):
    """Base of every error that Tidewire raises on purpose.

    Attributes:
        code: stable name of the error, the same on the wire, in logs and in the documentation.
        http_status: what an HTTP answer that carries this error has as its status.
        retry_helps: whether the same request may succeed later.
    """

    code: str = "TIDEWIRE_ERROR"
    http_status: int = 500
    retry_helps: bool = False
