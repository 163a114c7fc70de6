"""The ways that notices can go, chosen by the scheme of a URL."""

import importlib
import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tidewire._http import BadUrl
from tidewire.publisher.routing import ShardQueues


class Transport(Protocol):
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

    def reload(self) -> int:
        """Reads the shard map again; returns the version in force.

        Raises:
            PublishFailed: it can't be used, or there is none.
        """
        ...


class AsyncTransport(Protocol):
    """Brings notices to a server or broker from an event loop."""

    async def deliver(self, batch: Sequence[Mapping[str, Any]]) -> int:
        """Publishes notices that have ids; returns how many were accepted. Raises `PublishFailed`."""
        ...

    async def close(self) -> None:
        """Disconnects."""
        ...

    async def reload(self) -> int:
        """Reads the shard map again and returns the version in force; raises `PublishFailed` if it is invalid."""
        ...


def is_amqp(url: str) -> bool:
    """Whether a URL is that of a broker."""
    return url.startswith(("amqp://", "amqps://"))


def amqp_module() -> Any:
    """`tidewire.publisher.amqp_transport`, which needs an extra.

    Raises:
        BadUrl: it is not installed.
    """
    try:
        return importlib.import_module("tidewire.publisher.amqp_transport")
    except ModuleNotFoundError as error:
        raise BadUrl(f'amqp: needs `pip install "tidewire[rabbitmq]"` ({error.name} is missing)') from error


def shards_of(
    url: str,
    *,
    shards: ShardQueues | None,
    shard_map: str | os.PathLike[str] | None,
    realm_hosts: Mapping[int, str] | None,
) -> Any:
    """What says which shard serves whom: the given, or a map's file.

    Raises:
        BadUrl: they don't go together, or an extra is missing.
        PublishFailed: the map can't be used.
    """
    if shard_map is None:
        if realm_hosts is not None:
            raise BadUrl("realm_hosts goes with shard_map")
        return shards
    if shards is not None:
        raise BadUrl("Give shards or shard_map, not both")
    if not is_amqp(url):
        raise BadUrl("shard_map goes with amqp://; over HTTP the server itself splits notices")
    return amqp_module().MapFile(shard_map, realm_hosts=realm_hosts)
