"""Enforcing: ends queues that have passed a bound, or whose owner's rights have changed (D8, D11).

Each end is a record of its own. One that can't be journalled is tried again once a second. Until then the users
whose rights are to be revoked are given nothing.
"""

from collections.abc import Callable, Iterable

from tidewire.core.errors import Unavailable
from tidewire.core.ids import QueueId, UserId
from tidewire.core.records import Record
from tidewire.core.shard import Shard
from tidewire.core.state.state import Batch
from tidewire.ports.engine import Clock, Waiter


class LimitEnforcer:
    """Enforces the bounds and rights of one shard."""

    def __init__(
        self,
        *,
        shard: Shard[Waiter[Batch]],
        clock: Clock,
        commit: Callable[[Record], None],
        silence: Callable[[Iterable[QueueId]], None],
        resident: Callable[[], int],
    ) -> None:
        """Takes everything it needs as arguments.

        Args:
            shard: whose queues end.
            clock: the shard's time.
            commit: journals and applies a record.
            silence: ends the polls of queues with nothing.
            resident: bytes of memory that the process takes; 0 when that is unknown.
        """
        self._shard = shard
        self._clock = clock
        self._commit = commit
        self._silence = silence
        self._resident = resident
        self._revoking: dict[UserId, None] = {}
        self._ending: dict[QueueId, None] = {}
        shard.account(resident=resident())

    def check(self, user_id: UserId) -> None:
        """Refuses users whose rights are being revoked.

        Raises:
            Unavailable: the user is one of them.
        """
        if user_id in self._revoking:
            raise Unavailable("The user's rights have changed, and that can't be written down yet")

    def enforce_limits(self) -> None:
        """Ends the queues that have passed a bound; to be called whenever something was added."""
        if not self._shard.is_over:
            return
        try:
            for record in self._shard.decide_overflow(now=self._clock.now()):
                self._commit(record)
            for peer in self._shard.take_unread():
                peer.abort()
            while self._give_way():
                pass
        except Unavailable:
            return  # whoever keeps the journal has said so; the next tick tries again

    def _give_way(self) -> bool:
        """Has some queues give way for want of memory; False when none has to, or can."""
        self._shard.free_memory()
        giving = self._shard.decide_pressure(now=self._clock.now())
        self._shard.note_giving_way(giving)
        for record in giving.ends:
            self._commit(record)
        return bool(giving.ends)

    def revoke(self, user_ids: Iterable[UserId], queue_ids: Iterable[QueueId] = ()) -> int:
        """Ends every queue of these users, and these queues; returns how many could be ended at once."""
        self._revoking.update(dict.fromkeys(user_ids))
        self._ending.update(dict.fromkeys(queue_ids))
        records = self._shard.decide_revoke(self._revoking, self._ending, now=self._clock.now())
        for count, record in enumerate(records):
            try:
                self._commit(record)
            except Unavailable:
                self._silence([*self._shard.queues_of(self._revoking), *self._ending])
                return count
        self._revoking.clear()
        self._ending.clear()
        return len(records)

    def revoke_changed(self, rights: Callable[[UserId], bytes]) -> None:
        """Ends the queues of users whose rights changed while the server was stopped.

        Raises:
            Unavailable: the journal can't be written.
        """
        for record in self._shard.decide_changed(rights, now=self._clock.now()):
            self._commit(record)

    def tick(self) -> None:
        """Once a second: compares the memory that is counted with what is taken, and tries again what failed."""
        self._shard.account(resident=self._resident())
        if self._revoking or self._ending:
            self.revoke(())
        self.enforce_limits()
