"""The account of what is traced now: notices on their way in, and deliveries until they are acknowledged.

1. A notice has one span, `publish`, from when the engine was given it until it was confirmed. Each of its deliveries has
   one below it, `deliver`, from when the event was queued until the queue's client acknowledged it or the queue ended.
   Events of one span could not say that: a span is handed on when it ends, and some clients acknowledge days later.
2. A delivery is a few words here, and becomes a span when it is over. Its span needs no id before: nothing is below it.
3. Everything is bounded. Of a notice, the first `per_notice` deliveries are traced, and the others counted. When
   `most_open` deliveries are open, the oldest gives way: what is known of it is handed on. So a few clients that are
   gone for days can't end all tracing. A batch begins `MOST_PUBLISHING` spans.
4. Nothing of it is journalled. After a crash what was open is gone; a clean stop hands it on as it is.
5. No span says what an event says. A queue's id is no credential: only its owner can poll it.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from tidewire.core.ids import QueueId, RealmId, UserId
from tidewire.core.notices.notice import Notice
from tidewire.tracing.spans import Attributes, Moment, Span, Tracer
from tidewire.tracing.traceparent import read_traceparent

PUBLISH, DELIVER, SENT = "publish", "deliver", "sent"
"""Names of the spans, and of the moment at which an event was first given to its client."""

ACKNOWLEDGED, QUEUE_ENDED, GAVE_WAY, SERVER_STOPPED = (
    "acknowledged",
    "queue_ended",
    "gave_way",
    "server_stopped",
)
"""How a delivery's span ends."""

MOST_PUBLISHING = 1000
"""Notices that are on their way in at a time and have a span: with OpenTelemetry each takes some 20 us and 3 kB, and a
batch may have thousands."""

TELL_EVERY = 60.0
"""Seconds between two words on what traces lack: publishers can cause them with each notice."""


class Reached(NamedTuple):
    """A queue that a notice put an event in; `variant` says which of the notice's representations, from 0."""

    queue_id: QueueId
    event_id: int
    user_id: UserId
    realm_id: RealmId
    variant: int


class Reach(NamedTuple):
    """Whom a notice reached.

    Attributes:
        first: the deliveries that are traced.
        more: how many others there were.
        refused: queues that did not accept the event.
        failed: queues in which it failed.
    """

    first: Sequence[Reached]
    more: int
    refused: int
    failed: int


class Publishing:
    """A traced notice until it is confirmed or refused."""

    __slots__ = ("notice", "reach", "span")

    def __init__(self, notice: Notice, span: Span) -> None:
        self.notice = notice
        self.span = span
        self.reach: Reach | None = None
        """None until it is carried out, and for good when it was taken before."""


class Delivery:
    """One event in one queue, not acknowledged yet; `sent_at` is 0 until it is sent."""

    __slots__ = ("at", "kind", "reached", "sends", "sent_at", "span")

    def __init__(self, span: Span, kind: str, reached: Reached, at: float) -> None:
        self.span = span
        self.kind = kind
        self.reached = reached
        self.at = at
        self.sent_at = 0.0
        self.sends = 0


class Losses(NamedTuple):
    """What traces lack, since the start.

    Attributes:
        gave_way: deliveries that had to make room before they were acknowledged.
        passed_over: notices that came while too many were on their way in.
        malformed: notices whose trace context can't be read.
    """

    gave_way: int = 0
    passed_over: int = 0
    malformed: int = 0


class Traces:
    """What one shard traces.

    Attributes:
        queues: the open deliveries of each queue that has some, by event id.
        publishing: the notices of the request that is being carried out, as far as they are traced.
    """

    def __init__(
        self,
        tracer: Tracer,
        *,
        per_notice: int,
        most_open: int,
        on_losses: Callable[[Losses], None] = lambda _: None,
    ) -> None:
        """Takes who makes the spans, the bounds, and who is told when more is lacking than the last time."""
        self._tracer = tracer
        self.per_notice = per_notice
        self._most_open = most_open
        self._on_losses = on_losses
        self._order: OrderedDict[Delivery, None] = OrderedDict()
        self._publishing = 0
        self._told = Losses()
        self._tell_at = 0.0
        self.queues: dict[str, dict[int, Delivery]] = {}
        self.publishing: dict[Notice, Publishing] = {}
        self.losses = Losses()

    # Notices.

    def begin(self, notices: Iterable[Notice], now: float) -> list[Publishing]:
        """Begins the spans of notices that have come; those that are not to be traced get none."""
        begun: list[Publishing] = []
        for notice in notices:
            span = self._begin(notice.traceparent or "", now)
            if span is not None:
                begun.append(Publishing(notice, span))
                self._publishing += 1
        return begun

    def _begin(self, traceparent: str, now: float) -> Span | None:
        parent = read_traceparent(traceparent)
        if parent is None:
            self.losses = self.losses._replace(malformed=self.losses.malformed + 1)
            return None
        if not parent.is_sampled:
            return None
        if self._publishing >= MOST_PUBLISHING:
            self.losses = self.losses._replace(passed_over=self.losses.passed_over + 1)
            return None
        return self._tracer.begin(PUBLISH, parent, at=now)

    def carried_out(self, publishing: Publishing, reach: Reach, now: float) -> None:
        """A notice was put in queues; those deliveries are open now."""
        publishing.reach = reach
        for reached in reach.first:
            if len(self._order) >= self._most_open:
                self._give_way(now)
            delivery = Delivery(publishing.span, publishing.notice.kind, reached, now)
            self._order[delivery] = None
            self.queues.setdefault(reached.queue_id, {})[reached.event_id] = delivery

    def settle(self, begun: list[Publishing], now: float, *, error: str = "") -> None:
        """Notices are confirmed, or refused with an error's code; what was settled before stays as it is."""
        for publishing in begun:
            publishing.span.end(now, _about(publishing, confirmed=not error), error=error)
        self._publishing -= len(begun)
        begun.clear()

    # Deliveries.

    def sent(self, queue_id: str, through: int, now: float) -> None:
        """A queue's events up to this one were given to its client."""
        for event_id, delivery in self.queues.get(queue_id, {}).items():
            if event_id > through:
                break
            delivery.sent_at = delivery.sent_at or now
            delivery.sends += 1

    def acknowledged(self, queue_id: str, through: int, now: float) -> None:
        """A queue's client has the events up to this one."""
        deliveries = self.queues[queue_id]
        for event_id in [event_id for event_id in deliveries if event_id <= through]:
            self._end(deliveries[event_id], now, ACKNOWLEDGED)

    def ended(self, queue_id: str, reason: str, now: float) -> None:
        """A queue is gone, and what it held with it."""
        for delivery in list(self.queues.get(queue_id, {}).values()):
            self._end(delivery, now, QUEUE_ENDED, reason)

    def _give_way(self, now: float) -> None:
        self._end(next(iter(self._order)), now, GAVE_WAY)
        self.losses = self.losses._replace(gave_way=self.losses.gave_way + 1)

    def _end(self, delivery: Delivery, now: float, outcome: str, reason: str = "") -> None:
        del self._order[delivery]
        reached = delivery.reached
        deliveries = self.queues[reached.queue_id]
        del deliveries[reached.event_id]
        if not deliveries:
            del self.queues[reached.queue_id]
        moments: tuple[Moment, ...] = ((SENT, delivery.sent_at),) if delivery.sends else ()
        attributes: dict[str, str | int | bool] = {
            "tidewire.event.type": delivery.kind,
            "tidewire.event.id": reached.event_id,
            "tidewire.event.variant": reached.variant,
            "tidewire.queue.id": reached.queue_id,
            "tidewire.user.id": reached.user_id,
            "tidewire.realm.id": reached.realm_id,
            "tidewire.outcome": outcome,
            "tidewire.sends": delivery.sends,
        }
        if reason:
            attributes["tidewire.queue.end_reason"] = reason
        delivery.span.add(DELIVER, began=delivery.at, ended=now, moments=moments, attributes=attributes)

    def __len__(self) -> int:
        """How many deliveries are open."""
        return len(self._order)

    # The server's life.

    def tell(self, now: float) -> None:
        """Says what traces lack, if that has become more, and not again within `TELL_EVERY`."""
        if self.losses != self._told and now >= self._tell_at:
            self._told, self._tell_at = self.losses, now + TELL_EVERY
            self._on_losses(self.losses)

    def close(self, now: float) -> None:
        """At a stop: hands on what is open, as it is."""
        for delivery in list(self._order):
            self._end(delivery, now, SERVER_STOPPED)
        self._tell_at = now
        self.tell(now)
        self._tracer.close()


def _about(publishing: Publishing, *, confirmed: bool) -> Attributes:
    notice, reach = publishing.notice, publishing.reach
    attributes: dict[str, str | int | bool] = {
        "tidewire.event.type": notice.kind,
        "tidewire.users": len(notice.users),
    }
    if notice.id is not None:
        attributes["tidewire.notice.id"] = notice.id
    if notice.realm_id is not None:
        attributes["tidewire.realm.id"] = notice.realm_id
    if reach is not None:
        attributes["tidewire.deliveries"] = len(reach.first) + reach.more
        attributes["tidewire.deliveries.untraced"] = reach.more
        attributes["tidewire.refused"] = reach.refused
        attributes["tidewire.failed"] = reach.failed
    elif confirmed:
        attributes["tidewire.repeated"] = True
    return attributes
