"""What is seen of a server beside its answers: its log, and what only its surroundings can count."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tidewire.bus import Embedded
from tidewire.bus_port import BusState
from tidewire.counting import JournalStatistics
from tidewire.http.request_log import Lines
from tidewire.log_control import LogControl


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """What is seen of a server beside its answers.

    Attributes:
        lines: the shorter way of request entries into the log, if there is one.
        log_control: by which the log is changed while the server runs, if it can be.
        journal: where the journal's work is counted.
        bus: says how it stands with the bus.
    """

    lines: Lines | None = None
    log_control: LogControl | None = None
    journal: JournalStatistics = field(default_factory=JournalStatistics)
    bus: Callable[[], BusState] = Embedded().state
