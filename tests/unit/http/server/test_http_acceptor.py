"""Letting connections in: a few at a time, and so many a second."""

import asyncio
import contextlib
import errno
import socket

import pytest

from support.lane_server import until
from tidewire.http.server.acceptor import AT_ONCE, BURST, PAUSE, Acceptor, Rate


def test_without_a_rate_a_turn_s_worth_may_come_at_any_time() -> None:
    rate = Rate(0, now=0.0)
    for _ in range(100):
        assert rate.allowed(0.0) == AT_ONCE
        rate.took(AT_ONCE)


@pytest.mark.parametrize("per_second", [1, 7, 50, 1000, 9999])
def test_no_second_has_more_than_the_rate_and_a_burst(per_second: int) -> None:
    rate = Rate(per_second, now=0.0)
    came: list[float] = []
    now = 0.0
    while now < 5.0:
        allowed = rate.allowed(now)
        rate.took(allowed)
        came += [now] * allowed
        now += max(rate.wait(), 0.0005)
    for begin in came[:: max(1, per_second // 5)]:
        within = sum(begin <= at < begin + 1 for at in came)
        assert within <= per_second + max(1, per_second * BURST) + 1
    assert len(came) >= per_second * 4.5


class Counting(asyncio.Protocol):
    """Counts connections."""

    made = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Another one, which ends at once."""
        Counting.made += 1
        transport.close()


async def test_those_beyond_the_rate_wait_and_are_not_refused() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    Counting.made = 0
    acceptor = Acceptor(listener, Counting, per_second=50, on_no_room=lambda _: None)
    began = asyncio.get_running_loop().time()
    acceptor.start(100)
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(socket.create_connection(listener.getsockname()))
        await until(lambda: Counting.made == 30)
    acceptor.close()
    # Five at once, and the others at fifty a second.
    assert asyncio.get_running_loop().time() - began >= 0.45


async def test_a_machine_without_room_is_told_of_and_tried_again() -> None:
    class Full:
        """A socket for which there is no room at first."""

        def __init__(self, real: socket.socket) -> None:
            self.real = real
            self.tries = 0

        def __getattr__(self, name: str) -> object:
            return getattr(self.real, name)

        def accept(self) -> tuple[socket.socket, object]:
            self.tries += 1
            if self.tries == 1:
                raise OSError(errno.EMFILE, "Too many open files")
            return self.real.accept()

    listener = Full(socket.create_server(("127.0.0.1", 0)))
    Counting.made = 0
    told: list[OSError] = []
    acceptor = Acceptor(listener, Counting, per_second=0, on_no_room=told.append)  # type: ignore[arg-type]
    began = asyncio.get_running_loop().time()
    acceptor.start(100)
    with socket.create_connection(listener.real.getsockname()):
        await until(lambda: Counting.made == 1)
    acceptor.close()
    assert [error.errno for error in told] == [errno.EMFILE]
    assert asyncio.get_running_loop().time() - began >= PAUSE - 0.05
