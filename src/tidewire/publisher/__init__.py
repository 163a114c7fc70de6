"""Publishers, which hand notices to a server and return once they are confirmed."""

from tidewire.publisher.async_publisher import AsyncPublisher
from tidewire.publisher.errors import BadUrl, PublishFailed
from tidewire.publisher.publisher import Publisher

__all__ = ["AsyncPublisher", "BadUrl", "PublishFailed", "Publisher"]
