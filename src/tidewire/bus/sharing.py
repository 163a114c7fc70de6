"""Notices of the bus that concern other shards too: each is carried out everywhere, found wrong, or tried again."""

from collections.abc import Callable, Sequence
from itertools import takewhile

from structlog.typing import FilteringBoundLogger

from tidewire.bus.reading import Incoming
from tidewire.bus_port import Sharing
from tidewire.core.errors import InternalError, WireError


class Sharer:
    """Carries a batch of deliveries out."""

    def __init__(
        self,
        sharing: Sharing,
        *,
        bury: Callable[[Incoming, WireError], None],
        send_back: Callable[[Incoming], None],
        log: FilteringBoundLogger,
    ) -> None:
        """Takes what to do with those that can't ever be carried out, and with those that failed."""
        self._sharing = sharing
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
            is_parted = left[0].notice.parted is not None
            alike = takewhile(lambda each: (each.notice.parted is not None) is is_parted, left[:size])  # noqa: B023 - used up at once
            batch = list(alike)
            try:
                await self._sharing.carry_out([each.notice for each in batch])
            except InternalError:
                self._failed(batch, left)
                size = 1
            except WireError as error:
                if error.retry_helps:
                    return done, left, error
                index = place_of(error, len(batch))
                if index is not None or len(batch) == 1:
                    self._bury(left.pop(index or 0), error)
                else:
                    size = 1  # one of them is wrong, and then it is known which
            except Exception:  # noqa: BLE001 - a fault of ours must not stop the others
                self._log.exception("notices of the bus failed")
                self._failed(batch, left)
                size = 1
            else:
                done += batch
                del left[: len(batch)]
        return done, [], None

    def _failed(self, batch: Sequence[Incoming], left: list[Incoming]) -> None:
        """A fault, here or on another shard: of several it is not known whose, so each is tried by itself."""
        if len(batch) == 1:
            self._send_back(left.pop(0))


def place_of(error: WireError, count: int) -> int | None:
    """Which of so many notices an error is about; None when it does not say, or names none of them."""
    index = error.data.get("index")
    return index if type(index) is int and 0 <= index < count else None
