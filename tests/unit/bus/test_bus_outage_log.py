"""What the log says of a broker that goes, stays away, comes back, or comes and goes."""

from typing import Any

import pytest
import structlog

from tidewire._amqp.broker import address_of
from tidewire.bus.outage_log import EVERY, PATIENCE, Presence


class Told:
    """A presence of two connections under a clock that is set by hand, and what it wrote."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.lines: list[dict[str, Any]] = []
        self.presence = Presence(
            ("in", "out"),
            address="amqp://broker:5672/",
            timer=lambda: self.now,
            log=structlog.wrap_logger(None, processors=[self._keep]),
        )

    def _keep(self, _logger: Any, level: str, entry: Any) -> Any:
        self.lines.append({"level": level, **entry})
        raise structlog.DropEvent

    @property
    def events(self) -> list[str]:
        """What happened, by the lines."""
        return [line["event"] for line in self.lines]

    def up(self) -> None:
        """Both connections stand."""
        self.presence.up("in")
        self.presence.up("out")

    def away(self, seconds: float, *, reason: str = "refused") -> None:
        """Both try twice a second."""
        for _ in range(int(seconds * 2)):
            self.presence.failed("in", reason)
            self.presence.failed("out", reason)
            self.now += 0.5


def test_a_broker_that_is_away_for_five_minutes_is_seven_lines() -> None:
    told = Told()
    told.up()
    assert told.events == ["bus is there"]
    told.now += 3600
    told.away(300, reason="Connection refused")
    told.up()
    assert told.events == ["bus is there", "bus is away", *["bus is still away"] * 4, "bus is there"]
    assert {line["broker"] for line in told.lines} == {"amqp://broker:5672/"}
    assert told.lines[1]["reason"] == "Connection refused"
    assert [line["away_s"] for line in told.lines[2:6]] == [60.0, 120.0, 180.0, 240.0]
    assert told.lines[-1]["away_s"] == 300.0


def test_one_that_is_not_there_at_the_start_is_told_of_at_once() -> None:
    told = Told()
    told.away(1)
    assert told.events == ["bus is away"]
    told.up()
    assert told.events == ["bus is away", "bus is there"]
    assert told.presence.is_there


def test_half_a_connection_is_none() -> None:
    told = Told()
    told.presence.up("in")
    assert (told.events, told.presence.is_there) == ([], False)
    told.presence.up("out")
    told.presence.failed("out", "gone")
    assert not told.presence.is_there
    told.presence.up("out")
    assert told.events == ["bus is there", "bus is away", "bus is there"]


def test_one_that_comes_and_goes_is_two_lines_a_minute() -> None:
    told = Told()
    for _ in range(int(10 * EVERY)):
        told.up()
        told.now += 0.5
        told.presence.failed("in", "frame too large")
        told.now += 0.5
    assert len(told.lines) <= 2 * 10 + 1


def test_one_that_goes_for_good_after_coming_and_going_is_told_of() -> None:
    told = Told()
    told.up()
    told.presence.failed("in", "first")
    told.up()
    assert told.events[-1] == "bus is there"
    told.away(PATIENCE + 1, reason="second")
    assert told.events[-1] == "bus is away"
    assert told.lines[-1]["reason"] == "second"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://user:hunter2@broker:5673/vhost", "amqp://broker:5673/vhost"),
        ("amqps://user:hunter2@[::1]/?ssl_options=hunter2", "amqps://[::1]/"),
        ("amqp://hunter2@broker/#hunter2", "amqp://broker/"),
        ("amqp:///", "amqp://localhost/"),
        ("amqp://user:hun,ter2@One:5672,two/vhost", "amqp://one:5672,two/vhost"),
    ],
)
def test_an_address_is_shown_without_who_logs_in(url: str, shown: str) -> None:
    assert address_of(url) == shown
