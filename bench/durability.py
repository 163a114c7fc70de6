"""What durability costs where users notice it: deliveries of a whole server, and the time until a notice is confirmed."""

import asyncio
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec
import uvloop

from whole_server import Connection, Count, Server, clients, connect, publish_request, serving

CLIENTS = 300
SECONDS = 2.0
"""Of one round."""
MOST_ROUNDS = 7
"""A round of all takes some seconds on the wall."""
CONFIRMATIONS = 1_000
PUBLISHERS = (1, 10)
TEXT = "x" * 600


def main(*, rounds: int) -> None:
    """Measures and prints."""
    uvloop.run(_main(min(rounds, MOST_ROUNDS)))


class Rate(NamedTuple):
    """One round."""

    a_second: float
    cpu: float
    """Microseconds of the server for each delivery with its poll."""


async def _main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        driven = {}
        for durability in ("none", "process", "power"):
            server = stack.enter_context(
                serving(Path(folder) / durability, users=CLIENTS, durability=durability)
            )
            count = Count()
            await clients(server, count)
            driven[durability] = (server, await connect(server), count)
        await _deliveries(driven, rounds)
        await _confirmations(driven["power"][0])


async def _deliveries(driven: dict[str, tuple[Server, Connection, Count]], rounds: int) -> None:
    rates: dict[str, list[Rate]] = {durability: [] for durability in driven}
    for number in range(rounds + 1):
        for durability, (server, publisher, count) in driven.items():
            rate = await _round(server, publisher, count)
            if number:
                rates[durability].append(rate)
    print(f"\nDeliveries to {CLIENTS} clients that poll, a notice for all of them at a time; a whole server")
    base = statistics.median(rate.a_second for rate in rates["none"])
    for durability, taken in rates.items():
        speeds = sorted(rate.a_second for rate in taken)
        median = statistics.median(speeds)
        cpu = statistics.median(rate.cpu for rate in taken)
        print(
            f"  {durability:8} {median:8,.0f} a second ({speeds[0]:,.0f}-{speeds[-1]:,.0f})   "
            f"{cpu:6.1f} us of CPU each   ratio to none {median / base:.2f}"
        )


async def _round(server: Server, publisher: Connection, count: Count) -> Rate:
    event = {"type": "benchmark", "text": TEXT}
    request = publish_request(
        msgspec.json.encode({"event": event, "users": list(range(1, CLIENTS + 1)), "realm_id": 1})
    )
    began, cpu, before = time.perf_counter(), server.cpu(), count.events
    while time.perf_counter() - began < SECONDS:
        wanted = count.events + CLIENTS
        await publisher.ask(request)
        await count.reaches(wanted)
    delivered = count.events - before
    return Rate(delivered / (time.perf_counter() - began), (server.cpu() - cpu) / delivered * 1e6)


async def _confirmations(server: Server) -> None:
    """The server of the measurement before; its users' queues are left out."""
    print("\nFrom sending a notice until it is confirmed, with power; time on the wall")
    for publishers in PUBLISHERS:
        taken: list[float] = []
        connections = [await connect(server) for _ in range(publishers)]
        await asyncio.gather(
            *(_publish(connection, CONFIRMATIONS // publishers, taken) for connection in connections)
        )
        for connection in connections:
            connection.close()
        cuts = statistics.quantiles(taken, n=100)
        print(f"  {publishers:3} at a time   p50 {cuts[49]:6.2f} ms   p99 {cuts[98]:6.2f} ms")


async def _publish(connection: Connection, count: int, taken: list[float]) -> None:
    request = publish_request(
        msgspec.json.encode({"event": {"type": "benchmark", "text": TEXT}, "users": [10**6], "realm_id": 1})
    )
    for _ in range(count):
        began = time.perf_counter()
        await connection.ask(request)
        taken.append((time.perf_counter() - began) * 1000)
