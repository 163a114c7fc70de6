"""From a shard's queue into its engine: each delivery ends in an acknowledgement, whatever it holds (D6, D9).

- A fence of a publisher: answered, and acknowledged, when all before it is.
- Carried out: acknowledged once it is as durable as asked.
- Can't ever be carried out: moved to the queue of dead letters, with its id and the reason.
- Failed for a reason nobody foresaw: sent back to the end of the queue, three times, then a dead letter (R8.12).
- Can't be carried out and not be buried either, because the broker will not have the dead letter: said in the log, and
  dropped, for what waits to be acknowledged stops all others.
- Can't be carried out now, because the journal or the memory is full: kept, with all that came after it, and tried
  again. The broker sends no more than the prefetch meanwhile.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence

from structlog.typing import FilteringBoundLogger

from tidewire._amqp.broker import BrokerLost, Channel, Connection, Delivery
from tidewire._amqp.names import FENCE
from tidewire.bus.acks import Acknowledger, DeliveryBatch, PublishAck
from tidewire.bus.anonymous import AnonymousNotices
from tidewire.bus.dead_letters import DeadLetters
from tidewire.bus.decoding import MOST_TRIES, Incoming, digest_of_nameless, for_another_try, read
from tidewire.bus.multi_shard import Sharer, place_of
from tidewire.bus.producer import Producer
from tidewire.core.errors import InternalError, WireError
from tidewire.engine.engine import Engine
from tidewire.ports.bus import MultiShardPublish

AT_ONCE = 250
"""Deliveries of one turn of the loop: some ten milliseconds, so that polls are not kept waiting."""

TRY_AGAIN = 0.5
"""Seconds until what could not be carried out now is tried again."""

TELL_EVERY = 60.0
"""Seconds between two entries of the log that notices wait."""

SETTLE_WITHIN = 1.5
"""Seconds that a stop waits for the broker and for acknowledgements: with two connections to be closed and the polls to
be ended it must be done in five."""


class Consumer:
    """Takes what comes through one queue."""

    def __init__(
        self,
        *,
        engine: Engine,
        queue: str,
        prefetch: int,
        anonymous: AnonymousNotices,
        producer: Producer,
        log: FilteringBoundLogger,
        multi_shard: MultiShardPublish | None = None,
    ) -> None:
        self._engine = engine
        self._multi_shard = multi_shard
        self._running: set[asyncio.Task[None]] = set()
        self._queue = queue
        self._prefetch = prefetch
        self._anonymous = anonymous
        self._producer = producer
        self._dead_letters = DeadLetters(queue, producer=producer, log=log)
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._acknowledger = Acknowledger(lambda _: None)
        self._channel: Channel | None = None
        self._tag = ""
        self._arrived: deque[Delivery] = deque()
        self._arrived_at = 0.0
        """When the oldest of what has arrived did, by the loop's clock."""
        self._held: tuple[DeliveryBatch, list[Incoming]] | None = None
        self._is_due = False
        self._told_at = float("-inf")
        """When it was last written that notices wait, by the loop's clock."""

    async def set_up(self, connection: Connection) -> None:
        """Begins to consume on a new connection."""
        await connection.ensure_queue(self._queue)
        channel = await connection.channel()
        channel.closed.add_done_callback(lambda reason: connection.give_up(reason.result()))
        self._acknowledger = Acknowledger(channel.acknowledge)
        self._channel = channel
        self._tag = await channel.consume(
            self._queue,
            prefetch=self._prefetch,
            take=self._arrive,
            on_cancel=lambda: connection.give_up("the queue is gone"),
        )

    def lost(self) -> None:
        """The connection is gone; what was not acknowledged comes again."""
        if self._channel is None:
            return
        self._channel = None
        unseen = [found for each in self._arrived if (found := digest_of_nameless(each)) is not None]
        if self._held is not None:
            known = self._engine.shard.remembered
            for incoming in self._held[1]:
                if incoming.is_nameless and known.digest(incoming.notice.id or "") is None:
                    unseen.append(incoming.notice.digest)
                elif incoming.is_nameless:
                    self._anonymous.took(incoming.notice.digest)
        self._anonymous.lost(unseen)
        self._arrived.clear()
        self._held = None

    async def stop(self) -> None:
        """Takes no more; waits a while for the acknowledgements of what was taken."""
        channel = self._channel
        if channel is None:
            return
        # What is not acknowledged in time comes again, and is known then.
        with contextlib.suppress(BrokerLost, TimeoutError):
            async with asyncio.timeout(SETTLE_WITHIN):
                await channel.cancel(self._tag)
                while self._arrived or not self._acknowledger.is_idle:  # noqa: ASYNC110 - once in a life
                    await asyncio.sleep(0.01)

    def backlog(self) -> tuple[int, float]:
        """How many deliveries are not acknowledged, and for how many seconds the oldest has waited."""
        waiting = len(self._arrived) + self._acknowledger.open
        oldest = self._acknowledger.oldest
        if oldest is None:
            oldest = self._arrived_at
        return waiting, self._loop.time() - oldest if waiting else 0.0

    # Deliveries.

    def _arrive(self, delivery: Delivery) -> None:
        if not self._arrived:
            self._arrived_at = self._loop.time()
        self._arrived.append(delivery)
        if not self._is_due and self._held is None:
            self._soon()

    def _soon(self) -> None:
        # All that came with one reading of the socket becomes one record of the journal.
        self._is_due = True
        self._loop.call_soon(self._take)

    def _take(self) -> None:
        self._is_due = False
        if self._held is not None or not self._arrived:
            return
        batch = self._next_batch()
        run = self._acknowledger.begin(batch[-1].tag, len(batch), now=self._arrived_at)
        self._arrived_at = self._loop.time()
        if batch[0].kind == FENCE:
            self._pass_fence(run, batch[0])
        else:
            self._carry_out(run, self._read(run, batch))
        if self._arrived and self._held is None:
            self._soon()

    def _next_batch(self) -> list[Delivery]:
        """Notices that came one after the other, or a fence alone."""
        arrived = self._arrived
        batch = [arrived.popleft()]
        if batch[0].kind != FENCE:
            while arrived and len(batch) < AT_ONCE and arrived[0].kind != FENCE:
                batch.append(arrived.popleft())
        return batch

    def _pass_fence(self, run: DeliveryBatch, delivery: Delivery) -> None:
        """Answers a fence when all that came before it is done: what is acknowledged does not come again (D7)."""
        self._anonymous.delivered(redelivered=delivery.redelivered)
        reply_to = delivery.reply_to
        if reply_to is None:
            self._acknowledger.finish(run)
            return
        name, done = delivery.message_id or "", self._finisher(run)
        self._acknowledger.when_reached(
            run, lambda: self._producer.answer(reply_to, kind=FENCE, message_id=name, done=done)
        )

    def _read(self, run: DeliveryBatch, batch: Sequence[Delivery]) -> list[Incoming]:
        found: list[Incoming] = []
        for delivery in batch:
            try:
                incoming = read(delivery, self._anonymous)
            except WireError as error:
                self._bury(run, delivery, None, error)
                continue
            except Exception:  # noqa: BLE001 - it would fail again, and costs itself alone
                self._log.exception("notice of the bus can't be read")
                self._bury(run, delivery, None, InternalError())
                continue
            if incoming is None:
                self._acknowledger.finish(run)
            else:
                found.append(incoming)
        return found

    # Carrying out.

    def _carry_out(self, run: DeliveryBatch, incoming: list[Incoming]) -> None:
        """All of it as one, as long as nothing is wrong with any."""
        multi_shard = self._multi_shard
        if multi_shard is not None and incoming and not self._is_all_for_here(multi_shard, incoming):
            self._share(run, incoming, multi_shard)
            return
        while incoming:
            try:
                self._publish(run, incoming)
            except WireError as error:
                index = place_of(error, len(incoming))
                if error.retry_helps:
                    self._hold(run, incoming, error)
                    return
                if index is None:
                    self._one_by_one(run, incoming)
                    return
                # Those before it are right, and come first.
                before, wrong, incoming = incoming[:index], incoming[index], incoming[index + 1 :]
                self._bury(run, wrong.delivery, wrong.notice.id, error)
                if not self._all_published(run, before, incoming):
                    return
            except Exception:  # noqa: BLE001 - a fault of ours must not stop the others
                self._log.exception("notices of the bus failed")
                self._one_by_one(run, incoming)
                return
            else:
                return

    def _is_all_for_here(self, multi_shard: MultiShardPublish, incoming: Sequence[Incoming]) -> bool:
        try:
            return multi_shard.is_all_for_here([each.notice for each in incoming])
        except Exception:  # noqa: BLE001 - where it is carried out it is said which of them is the matter
            self._log.exception("notices of the bus failed")
            return False

    def _share(self, run: DeliveryBatch, incoming: list[Incoming], multi_shard: MultiShardPublish) -> None:
        """Those that concern other shards too; what comes after them waits, so that it stays in order."""
        held = self._held = (run, incoming)
        sharer = Sharer(
            multi_shard,
            bury=lambda each, error: self._bury(run, each.delivery, each.notice.id, error),
            send_back=lambda each: self._send_back(run, each),
            log=self._log,
        )

        async def share() -> None:
            done, left, error = await sharer.share(incoming)
            if self._held is not held:
                return  # of a connection that was lost
            for each in done:
                if each.is_nameless:
                    self._anonymous.took(each.notice.digest)
            self._acknowledger.finish(run, len(done))
            self._held = None
            if error is not None:
                self._hold(run, left, error)
            elif self._arrived:
                self._soon()

        task = asyncio.create_task(share())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _all_published(self, run: DeliveryBatch, first: list[Incoming], rest: list[Incoming]) -> bool:
        """Publishes what was found to be right; False when it could not be, and `rest` was seen to with it."""
        if first:
            try:
                self._publish(run, first)
            except Exception:  # noqa: BLE001 - whatever it is, it is said of the one that it comes from
                self._one_by_one(run, [*first, *rest])
                return False
        return True

    def _publish(self, run: DeliveryBatch, incoming: list[Incoming]) -> None:
        slot = PublishAck(self._acknowledger, run)
        self._engine.publish([each.notice for each in incoming], slot)
        for each in incoming:
            if each.is_nameless:
                self._anonymous.took(each.notice.digest)

    def _one_by_one(self, run: DeliveryBatch, incoming: list[Incoming]) -> None:
        for place, each in enumerate(incoming):
            try:
                self._publish(run, [each])
            except WireError as error:
                if error.retry_helps:
                    self._hold(run, incoming[place:], error)
                    return
                self._bury(run, each.delivery, each.notice.id, error)
            except Exception:  # noqa: BLE001 - it gets another try
                self._log.exception("notice of the bus failed", id=each.notice.id, type=each.notice.kind)
                self._send_back(run, each)

    def _hold(self, run: DeliveryBatch, incoming: list[Incoming], error: WireError) -> None:
        now = self._loop.time()
        if now - self._told_at >= TELL_EVERY:
            self._told_at = now
            self._log.warning("notices of the bus wait", code=error.code, reason=error.message)
        self._held = (run, incoming)
        self._loop.call_later(TRY_AGAIN, self._release, self._held)

    def _release(self, held: tuple[DeliveryBatch, list[Incoming]]) -> None:
        if self._held is not held:
            return  # of a connection that was lost
        self._held = None
        self._carry_out(*held)
        if self._arrived and self._held is None:
            self._soon()

    # What is not carried out.

    def _send_back(self, run: DeliveryBatch, incoming: Incoming) -> None:
        tries = incoming.tries + 1
        notice, delivery = incoming.notice, incoming.delivery
        if tries >= MOST_TRIES:
            self._bury(run, delivery, notice.id, InternalError())
            return
        try:
            body = for_another_try(notice, tries)
        except Exception:  # noqa: BLE001 - it can't be tried again then
            self._log.exception("notice of the bus failed", id=notice.id, type=notice.kind)
            self._bury(run, delivery, notice.id, InternalError())
            return
        self._producer.put(
            self._queue,
            body,
            message_id=notice.id or "",
            headers=delivery.headers or None,
            done=self._finisher(run),
            failed=lambda _: self._bury(run, delivery, notice.id, InternalError()),
        )

    def _bury(self, run: DeliveryBatch, delivery: Delivery, notice_id: str | None, error: WireError) -> None:
        self._dead_letters.bury(delivery, notice_id, error, done=self._finisher(run))

    def _finisher(self, run: DeliveryBatch) -> Callable[[], None]:
        acknowledger = self._acknowledger
        return lambda: acknowledger.finish(run)
