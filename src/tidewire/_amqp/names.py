"""The names on RabbitMQ, of queues (R8.2), headers and kinds of message; server and publisher must agree on them."""

INBOUND = "notify_tornado"

PARTS = "x-tidewire-parts"
"""The header of a notice that its publisher has split by a map: the queues that got a part, with commas between them."""

FENCE = "tidewire.fence"
"""The `type` of a message that is no notice: it is answered, through the queue that its `reply_to` names and with its
`message_id`, once everything that came before it through its queue is where it belongs."""


def inbound_queue(port: int | None = None) -> str:
    """The queue that a shard's notices come through; `port` is its own where there are several shards."""
    return INBOUND if port is None else f"{INBOUND}_port_{port}"


def dead_letter_queue(inbound: str) -> str:
    """The queue for what came through `inbound` and can't be carried out."""
    return f"{inbound}_dead_letters"
