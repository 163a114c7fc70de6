"""Notices of the bus that concern other shards too: each is carried out everywhere, found wrong, or tried again."""

from collections.abc import Callable, Sequence

from structlog.typing import FilteringBoundLogger

from tidewire.bus.decoding import Incoming
from tidewire.core.errors import InternalError, WireError
from tidewire.ports.bus import MultiShardPublish


class Sharer:
    """Carries a batch of deliveries out."""

    def __init__(
        self,
        multi_shard: MultiShardPublish,
        *,
        bury: Callable[[Incoming, WireError], None],
        send_back: Callable[[Incoming], None],
        log: FilteringBoundLogger,
    ) -> None:
        """Takes what to do with those that can't ever be carried out, and with those that failed."""
        self._multi_shard = multi_shard
        self._bury = bury
        self._send_back = send_back
        self._log = log

    async def share(
        self, incoming: Sequence[Incoming]
    ) -> tuple[list[Incoming], list[Incoming], WireError | None]:
        """Those that were carried out; and those to be tried again, in order, with the reason.

        All others have been seen to. What is tried twice does no harm: all of them have ids.
        """
        done: list[Incoming] = []
        left = list(incoming)
        size = len(left)
        while left:
            batch = left[:size]
            try:
                await self._multi_shard.carry_out([each.notice for each in batch])
            except InternalError:
                size = self._failed(batch, left)
            except WireError as error:
                if error.retry_helps:
                    return done, left, error
                index = place_of(error, len(batch))
                if index is None and len(batch) > 1:
                    size = 1  # one of them is wrong, and then it is known which
                    continue
                self._bury(left.pop(index or 0), error)
                size = len(left)
            except Exception:  # noqa: BLE001 - a fault of ours must not stop the others
                self._log.exception("notices of the bus failed")
                size = self._failed(batch, left)
            else:
                done += batch
                del left[: len(batch)]
        return done, [], None

    def _failed(self, batch: Sequence[Incoming], left: list[Incoming]) -> int:
        """A fault, here or on another shard: of several it is not known whose, so each is tried by itself until it is.

        Returns how many are to be tried next.
        """
        if len(batch) > 1:
            return 1
        self._send_back(left.pop(0))
        return len(left)


def place_of(error: WireError, count: int) -> int | None:
    """Which of so many notices an error is about; None when it does not say, or names none of them."""
    index = error.data.get("index")
    return index if type(index) is int and 0 <= index < count else None
