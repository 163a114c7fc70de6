"""What the views of one server share."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from structlog.typing import FilteringBoundLogger

from tidewire.cluster.peers import Peers
from tidewire.cluster.relocation import RelocationCoordinator
from tidewire.core.errors import Unavailable
from tidewire.core.state.limits import IdleTimeouts
from tidewire.engine.engine import Engine
from tidewire.http.foreign_queues import ForeignQueues
from tidewire.http.rate_limits import RateLimits
from tidewire.http.request_log import RequestIds
from tidewire.http.security import Access, Cors
from tidewire.http.session_queues import Sessions
from tidewire.http.slice_scheduler import Turns
from tidewire.initial_state import StateSource
from tidewire.observability.counters import HttpStatistics
from tidewire.observability.log_level import LogControl
from tidewire.observability.request_entries import Lines
from tidewire.ports.auth import Authenticator, AuthGate


@dataclass(kw_only=True, slots=True)
class ServerStatus:
    """How far the server is: set by whoever runs it, read by the views.

    Attributes:
        degraded: names of what is wrong although clients can be served.
    """

    ready: bool = False
    stopping: bool = False
    degraded: list[str] = field(default_factory=list)

    def journal_fails(self, failing: bool) -> None:
        """Notes that the journal ceased to be writable, or is again."""
        self._note("journal", wrong=failing)

    def bus_is_away(self, away: bool) -> None:
        """Notes that the bus can't be reached, or can be again."""
        self._note("bus", wrong=away)

    def _note(self, what: str, *, wrong: bool) -> None:
        self.degraded = [name for name in self.degraded if name != what] + [what] * wrong

    def check_serving(self) -> None:
        """Refuses new queues and notices outside the time between start and stop.

        Raises:
            Unavailable: the server is starting or stopping.
        """
        if self.stopping:
            raise Unavailable("The server is stopping")
        if not self.ready:
            raise Unavailable("The server is starting")


@dataclass(frozen=True, kw_only=True, slots=True)
class Compat:
    """What existing clients are told about the server.

    Attributes:
        version: what `zulip_version` says.
        feature_level: what `zulip_feature_level` says (R6.14).
        bad_queue_text: when the older sentence of BAD_EVENT_QUEUE_ID is used (R6.95).
    """

    version: str
    feature_level: int
    bad_queue_text: Literal["always", "never", "zulip-term"]

    @property
    def versions(self) -> dict[str, str | int]:
        """The members that `register` and `server_settings` have in common (R6.57)."""
        return {
            "zulip_version": self.version,
            "zulip_merge_base": self.version,
            "zulip_feature_level": self.feature_level,
        }


class Exposition(Protocol):
    """Gives the server's metrics."""

    async def render(self, accept: str) -> tuple[bytes, str]:
        """All of them, in a form that the `Accept` header asks for, and what that form is called."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerContext:
    """Everything a view may need.

    Attributes:
        dump_max_bytes: of one request to import queues; 0: no limit.
        restart: the event that tells queues of another server that this is a new one; None: they aren't told.
        now: UNIX seconds, for rate limits.
        timer: seconds that only grow, to measure requests by.
        lines: the shorter way of request entries into the log, if there is one.
        peers: the other shards; None when there is no map.
        relocation: has users move to them.
        door: who lets requests in; None: the users file alone, and no browser sessions.
        sessions: which queues belong to which session.
        foreign: who asked for queues of others.
        session_origins: origins whose pages may use browser sessions, beside the own one.
        turns: for work that would hold the loop.
        state: where `register` has the initial state from; None: it answers without.
        log_control: by which the log is changed while the server runs, if it can be.
        request_ids: names requests in the log.
        statistics: what is counted of requests.
        exposition: the metrics, if there are any.
    """

    engine: Engine
    authenticator: Authenticator
    access: Access
    idle_timeouts: IdleTimeouts
    compat: Compat
    lifecycle: ServerStatus
    log: FilteringBoundLogger
    limits: RateLimits = field(default_factory=RateLimits)
    cors: Cors = field(default_factory=Cors)
    dump_max_bytes: int = 0
    restart: Mapping[str, Any] | None = None
    now: Callable[[], float] = time.time
    timer: Callable[[], float] = time.perf_counter
    lines: Lines | None = None
    log_control: LogControl | None = None
    request_ids: RequestIds = field(default_factory=RequestIds)
    statistics: HttpStatistics = field(default_factory=HttpStatistics)
    exposition: Exposition | None = None
    peers: Peers | None = None
    relocation: RelocationCoordinator | None = None
    state: StateSource | None = None
    door: AuthGate | None = None
    sessions: Sessions = field(init=False)
    foreign: ForeignQueues = field(default_factory=ForeignQueues)
    session_origins: frozenset[str] = frozenset()
    turns: Turns = field(default_factory=Turns)

    def __post_init__(self) -> None:
        """Gives it the sessions of its own engine."""
        object.__setattr__(self, "sessions", Sessions(self.engine.shard.find))

    @property
    def generation(self) -> int:
        """Rises whenever it may no longer hold who somebody is, or that this shard serves them."""
        people = self.authenticator.generation if self.door is None else self.door.generation
        return people if self.peers is None else people + self.peers.generation
