"""What may happen to a service of several shards while it is used: each is done to it, and is over when the function returns.

Re-shardings have a service of their own (`shard_growth.py`).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from support.shard_service import ShardService

Happening: TypeAlias = Callable[[ShardService], None]


def nothing(service: ShardService) -> None:
    """An ordinary day."""
    service.await_shards()


def nginx_reload(service: ShardService) -> None:
    """New workers of nginx, and the old ones finish what they have."""
    service.reload_nginx()


def rolling_restart(service: ShardService) -> None:
    """`tidewire restart`."""
    service.roll()
    service.await_shards()


def shards_killed(service: ShardService) -> None:
    """SIGKILL of one shard after the other, each when the one before is back."""
    for index in range(len(service.ports)):
        service.kill_shard(index)


def broker_stopped(service: ShardService) -> None:
    """RabbitMQ is restarted."""
    service.stop_broker()


def broker_killed(service: ShardService) -> None:
    """RabbitMQ dies and is started again."""
    service.kill_broker()


HAPPENINGS: Mapping[str, Happening] = MappingProxyType(
    {
        "nothing": nothing,
        "nginx reload": nginx_reload,
        "rolling restart": rolling_restart,
        "shards killed": shards_killed,
        "broker stopped": broker_stopped,
        "broker killed": broker_killed,
    }
)
