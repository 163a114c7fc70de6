"""The names of the queues on RabbitMQ; server and publisher must agree on them (R8.2)."""

INBOUND = "notify_tornado"


def inbound_queue(port: int | None = None) -> str:
    """The queue that a shard's notices come through; `port` is its own where there are several shards."""
    return INBOUND if port is None else f"{INBOUND}_port_{port}"


def dead_letter_queue(inbound: str) -> str:
    """The queue for what came through `inbound` and can't be carried out."""
    return f"{inbound}_dead_letters"
