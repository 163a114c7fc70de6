"""Dead letters: messages that can't ever be carried out, kept in a queue of their own with the reason."""

from collections.abc import Callable
from typing import Any

from structlog.typing import FilteringBoundLogger

from tidewire._amqp.broker import Delivery
from tidewire._amqp.names import dead_letter_queue
from tidewire.bus.decoding import usable_id
from tidewire.bus.producer import Producer
from tidewire.core.errors import WireError

LONGEST_REASON = 1000
"""Bytes of the reason that goes with a dead letter: it quotes the notice, which may be as long as anything."""

CODE, REASON = "x-tidewire-code", "x-tidewire-reason"


class DeadLetters:
    """Where the dead letters of one queue go."""

    def __init__(self, queue: str, *, producer: Producer, log: FilteringBoundLogger) -> None:
        """Takes the queue that messages come through, the way out, and where to write."""
        self._queue = queue
        self._producer = producer
        self._log = log

    def bury(
        self, delivery: Delivery, notice_id: str | None, error: WireError, *, done: Callable[[], None]
    ) -> None:
        """Moves a message there, and calls `done`.

        It is called too when the broker will not have the dead letter: the log says so then, and the message is dropped. To
        keep it would keep everything behind it from being acknowledged, and so in the end from coming.
        """
        name = notice_id or usable_id(delivery.message_id or "") or f"delivery-{delivery.tag}"
        self._log.error("notice became a dead letter", id=name, code=error.code, queue=self._queue)
        # Ours first: of the others those are left out that don't fit behind them.
        headers: dict[Any, Any] = {CODE: error.code, REASON: cut(error.message)}
        headers |= {key: value for key, value in delivery.headers.items() if key not in headers}

        def failed(reason: str) -> None:
            size = len(delivery.body)
            self._log.error("dead letter is lost", id=name, code=error.code, reason=reason, bytes=size)
            done()

        self._producer.put(
            dead_letter_queue(self._queue),
            delivery.body,
            message_id=name,
            headers=headers,
            done=done,
            failed=failed,
        )


def cut(reason: str) -> str:
    """A reason of a length that fits beside everything else."""
    encoded = reason.encode("utf-8", "replace")
    if len(encoded) <= LONGEST_REASON:
        return encoded.decode()
    return encoded[:LONGEST_REASON].decode("utf-8", "ignore") + " ..."
