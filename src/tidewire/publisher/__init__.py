"""Publishers: hand notices to a server, or to RabbitMQ, and return once they are confirmed."""

from tidewire.publisher.async_publisher import AsyncPublisher
from tidewire.publisher.errors import BadUrl, PublishFailed
from tidewire.publisher.publisher import Publisher
from tidewire.publisher.routing import OneShard, ShardQueues

__all__ = ["AsyncPublisher", "BadUrl", "OneShard", "PublishFailed", "Publisher", "ShardQueues"]
