"""The ways that notices can go, chosen by the scheme of a URL."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tidewire._http import BadUrl


class Way(Protocol):
    """One way to a server."""

    def deliver(self, batch: Sequence[Mapping[str, Any]]) -> int:
        """Publishes notices that have ids; returns how many were accepted.

        Raises:
            PublishFailed: they are not confirmed.
        """
        ...

    def close(self) -> None:
        """Disconnects."""
        ...


class AsyncWay(Protocol):
    """The same on an event loop."""

    async def deliver(self, batch: Sequence[Mapping[str, Any]]) -> int:
        """See `Way.deliver`."""
        ...

    async def close(self) -> None:
        """Disconnects."""
        ...


def is_amqp(url: str) -> bool:
    """Whether a URL is that of a broker."""
    return url.startswith(("amqp://", "amqps://"))


def amqp_module() -> Any:
    """`tidewire.publisher.amqp`, which needs an extra.

    Raises:
        BadUrl: it is not installed.
    """
    try:
        return importlib.import_module("tidewire.publisher.amqp")
    except ModuleNotFoundError as error:
        raise BadUrl(f'amqp: needs `pip install "tidewire[rabbitmq]"` ({error.name} is missing)') from error
