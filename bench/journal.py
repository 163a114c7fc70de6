"""What the journal costs: an append, a confirmation that survives the loss of power, and recovery."""

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from measure import Case, alternate, print_table
from tidewire.core.records import Published, encode_record
from tidewire.ports.engine import Origin
from tidewire.ports.storage import Journal
from tidewire.storage.directory import DirectoryStore, Durability, open_directory
from tidewire.storage.journal import NullJournal

RECORD = Published(
    1_700_000_000.0, (b'{"event":{"type":"benchmark","text":"%b"},"users":[7]}' % (b"x" * 200),)
)
"""Some 300 bytes as MessagePack."""
APPENDS = 5_000
"""Of one round."""
SNAPSHOT_AT = 64 * 1024 * 1024
"""Bytes of the tail at which a round's tidying takes an (empty) snapshot, so that the disk doesn't fill up."""
CONCURRENT = (1, 10, 100)
"""How many publishers wait for a confirmation at a time."""
CONFIRMATIONS = 300
"""Of one publisher alone; several take as many together, and ten times as many in all."""
RECOVERED = 200_000
"""Records of the recovery."""


def main(*, rounds: int) -> None:
    """Measures and prints."""
    print(f"\nA record has {len(encode_record(RECORD))} bytes")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        cases = {
            "none": _appending(NullJournal()),
            "bare os.write": _writing(stack, Path(folder) / "bare"),
            "process": _appending(_journal(stack, Path(folder) / "process", "process")),
            "power": _appending(_journal(stack, Path(folder) / "power", "power")),
        }
        timings = alternate(cases, rounds=rounds)
        print_table("Append", timings, unit="us a record", base="bare os.write")
    with tempfile.TemporaryDirectory() as folder:
        _confirm(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        _recover(Path(folder))


def _journal(
    stack: ExitStack, directory: Path, durability: Durability, on_durable: Callable[[], None] = lambda: None
) -> Journal:
    store = open_directory(directory, durability=durability)
    stack.callback(store.close)
    return _begin(store, on_durable)


def _begin(store: DirectoryStore, on_durable: Callable[[], None] = lambda: None) -> Journal:
    store.recover()
    return store.journal(origin=Origin("benchmark"), on_durable=on_durable, on_failed=print)


def _appending(journal: Journal) -> Case:
    def run() -> int:
        for _ in range(APPENDS):
            journal.append(RECORD)
        return APPENDS

    def tidy() -> None:
        if journal.tail_bytes > SNAPSHOT_AT:
            journal.begin_snapshot().commit()

    return Case(run, tidy)


def _writing(stack: ExitStack, path: Path) -> Case:
    """The system call alone, with bytes that are ready."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    stack.callback(os.close, descriptor)
    data = encode_record(RECORD)

    def run() -> int:
        for _ in range(APPENDS):
            os.write(descriptor, data)
        return APPENDS

    return Case(run, lambda: os.ftruncate(descriptor, 0))


def _confirm(folder: Path) -> None:
    """Publishers that append again as soon as they are confirmed, as a loop would serve them; time on the wall."""
    print("\nConfirmation with power, on this disk")
    _print_waits("write and fdatasync", _bare(folder / "bare"), 1)
    for publishers in CONCURRENT:
        with ExitStack() as stack:
            moved = threading.Semaphore(0)
            journal = _journal(stack, folder / str(publishers), "power", moved.release)
            taken = _confirmations(journal, moved, publishers)
        _print_waits(f"{publishers} at a time", taken, publishers)


def _bare(path: Path) -> list[float]:
    """What the disk itself takes, with nothing around it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    data = encode_record(RECORD)
    taken = []
    for _ in range(CONFIRMATIONS):
        began = time.perf_counter()
        os.write(descriptor, data)
        os.fdatasync(descriptor)
        taken.append((time.perf_counter() - began) * 1000)
    os.close(descriptor)
    return taken


def _print_waits(name: str, taken: list[float], together: int) -> None:
    cuts = statistics.quantiles(taken, n=100)
    rate = together / statistics.fmean(taken) * 1000
    print(f"  {name:19}  p50 {cuts[49]:7.2f} ms   p99 {cuts[98]:7.2f} ms   {rate:8,.0f} a second")


def _confirmations(journal: Journal, moved: threading.Semaphore, publishers: int) -> list[float]:
    taken: list[float] = []
    waiting: list[tuple[int, float]] = []
    total = CONFIRMATIONS * max(1, publishers // 10) if publishers > 1 else CONFIRMATIONS
    while len(taken) < total:
        while len(waiting) < publishers:
            began = time.perf_counter()
            waiting.append((journal.append(RECORD), began))
        moved.acquire()
        durable = journal.durable
        now = time.perf_counter()
        taken += [(now - began) * 1000 for position, began in waiting if position <= durable]
        waiting = [(position, began) for position, began in waiting if position > durable]
    return taken


def _recover(folder: Path) -> None:
    with ExitStack() as stack:
        journal = _journal(stack, folder, "process")
        for _ in range(RECOVERED):
            journal.append(RECORD)
        size = journal.tail_bytes
    store = open_directory(folder, durability="process")
    began = time.process_time()
    found = store.recover()
    checked = time.process_time()
    count = sum(1 for _ in found.records)
    decoded = time.process_time()
    store.close()
    assert count == RECOVERED
    megabytes = size / 1_000_000
    print(f"\nRecovery of {RECOVERED:,} records, {megabytes:.0f} MB, without applying them")
    print(
        f"  check   {megabytes / (checked - began):6.0f} MB/s   {(checked - began) / count * 1e6:5.2f} us a record"
    )
    print(
        f"  decode  {megabytes / (decoded - checked):6.0f} MB/s   {(decoded - checked) / count * 1e6:5.2f} us a record"
    )
