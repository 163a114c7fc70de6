"""Waiting clients over real sockets: this server beside others, and its own settings beside each other."""

from collections.abc import Mapping
from pathlib import Path

from candidates import FLOOR, OURS, Candidate, installed, tidewire, with_own_queues
from columns import Figures, Run, alternate_runs, print_columns, rounds_of_servers
from load import generate

SECONDS = "3"
"""Of load in one run, after one second that is not counted."""

SIZES = (100, 1000, 5000)
"""Waiting clients."""
ALONE = (1000, 15_000)
"""Waiting clients where this server is compared with itself."""

CPU, RATE, MIDDLE, TAIL = "us of CPU a delivery", "deliveries/s", "p50 ms", "p99 ms"


def closed_loop(*, rounds: int) -> None:
    """A fan-out to all; the next one starts when all have got it and poll again."""
    for clients in SIZES:
        cases = {name: _run(one, clients) for name, one in installed().items()}
        _compare(f"Fan-out to {clients:,} waiting clients, one after the other", cases, rounds)
    alone = {f"{clients:,} clients": _run(tidewire(), clients) for clients in ALONE}
    _compare("The same in this server alone", alone, rounds, next(iter(alone)))


def latency(*, rounds: int) -> None:
    """Fan-outs at fixed times; the time from when one was due to each receipt."""
    slowly = ("--rate", "1", "--warmup", "2", "-t", "5")
    to_all = {name: _run(one, 1000, *slowly) for name, one in installed().items()}
    _compare("One fan-out a second to 1,000 waiting clients", to_all, rounds)
    to_few = {name: _run(one, 1000, "--rate", "200", reached=10) for name, one in with_own_queues().items()}
    _compare("200 events a second, each to 10 of 1,000 waiting clients", to_few, rounds)


def single_delivery(*, rounds: int) -> None:
    """An event for one client: publishing it and delivering it, 400 times a second, and one after the other."""
    cases = {name: _run(one, 100, "--rate", "400", reached=1) for name, one in with_own_queues().items()}
    _compare("400 events a second, each to one of 100 waiting clients", cases, rounds)
    cases = {name: _run(one, 100, reached=1) for name, one in with_own_queues().items()}
    _compare("Events one after the other, each to one of 100 waiting clients", cases, rounds)


def memory(*, rounds: int) -> None:
    """10,000 clients that wait, each with a queue of its own."""
    del rounds  # it hardly varies
    cases = {name: _idle(one, 10_000) for name, one in installed().items()}
    print_columns("10,000 waiting clients", alternate_runs(cases, rounds=3), base=FLOOR)


def variants(*, rounds: int) -> None:
    """What the log, the journal, the trails and tracing cost per delivery, of notices that carry no trace."""
    cases = {
        OURS: _run(tidewire(), 1000),
        "log.level=warning": _run(tidewire("log.level=warning"), 1000),
        "storage.durability=none": _run(tidewire("storage.durability=none"), 1000),
        "explain.queue_bytes=0": _run(tidewire("explain.queue_bytes=0"), 1000),
        # Nobody listens there, and nothing is sent.
        "tracing.endpoint": _run(tidewire("tracing.endpoint=http://127.0.0.1:9"), 1000),
        "both": _run(tidewire("log.level=warning", "storage.durability=none"), 1000),
    }
    _compare("Fan-out to 1,000 waiting clients, by settings", cases, rounds, OURS)


def _compare(title: str, cases: Mapping[str, Run], rounds: int, base: str = FLOOR) -> None:
    print_columns(title, alternate_runs(cases, rounds=rounds_of_servers(rounds)), base=base)


def _run(candidate: Candidate, clients: int, *options: str, reached: int = 0) -> Run:
    """Publishes to `reached` of the clients, or to all."""
    count = reached or clients

    def run(folder: Path) -> Figures:
        with candidate.start(folder, clients) as target:
            found = generate(
                target,
                folder,
                "-n",
                str(clients),
                "-k",
                str(count),
                "-t",
                SECONDS,
                *options,
                body=candidate.body(count),
            )
        latencies = found["lat_ms"]
        return {CPU: found["cpu_us"], RATE: found["rate"], MIDDLE: latencies["p50"], TAIL: latencies["p99"]}

    return run


def _idle(candidate: Candidate, clients: int) -> Run:
    """What the second half of the clients adds: the first one fills what the start of the server has left free."""

    def run(folder: Path) -> Figures:
        half, all_of_them = (
            _resident(candidate, folder / str(count), count) for count in (clients // 2, clients)
        )
        return {
            "bytes a client": (all_of_them - half) / (clients - clients // 2),
            "MB in all": all_of_them / 1e6,
        }

    def _resident(candidate: Candidate, folder: Path, count: int) -> float:
        folder.mkdir()
        with candidate.start(folder, clients) as target:
            found = generate(target, folder, "-n", str(count), "--idle", "--settle", "2", "-t", "1")
        return float(found["rss_idle"])

    return run
