"""A synchronous publisher: hands notices to a server and returns once they are confirmed."""

from tidewire.publisher.errors import BadUrl, PublishFailed
from tidewire.publisher.publisher import Publisher

__all__ = ["BadUrl", "PublishFailed", "Publisher"]
