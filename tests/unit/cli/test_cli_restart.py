"""The drive that has old web clients reload (R9.17)."""

from typing import Any

import pytest

from tidewire.cli.restart import ReloadDrive


class Shards:
    """Shards with so many clients each; the first `failures` requests fail."""

    def __init__(self, clients: dict[int, int], failures: int = 0) -> None:
        self.clients = clients
        self.failures = failures
        self.slept: list[float] = []
        self.said: list[str] = []

    def ask(self, port: int, size: int) -> dict[str, Any]:
        """What a shard says."""
        if self.failures:
            self.failures -= 1
            raise OSError("nobody there")
        taken = min(size, self.clients[port])
        self.clients[port] -= taken
        return {"sent_events": taken, "complete": taken < size}

    def drive(self) -> ReloadDrive:
        """A drive through them."""
        return ReloadDrive(self.ask, sleep=self.slept.append, say=self.said.append)


def test_clients_are_told_in_batches_of_five_seconds_until_there_are_no_more() -> None:
    shards = Shards({9800: 600, 9801: 0})
    drive = shards.drive()
    assert drive.reload(9800, rate=50)
    assert drive.reload(9801, rate=50)
    assert shards.slept == [5.0, 5.0]
    assert shards.said == [
        "shard 9800: told 600 web clients to reload",
        "shard 9801: told 0 web clients to reload",
    ]


@pytest.mark.parametrize(("failures", "goes_well"), [(3, True), (4, False)])
def test_a_shard_that_does_not_answer_is_asked_three_times_more(failures: int, goes_well: bool) -> None:
    shards = Shards({9800: 1}, failures)
    assert shards.drive().reload(9800, rate=50) is goes_well
    assert shards.slept == [1.0, 2.0, 4.0]
