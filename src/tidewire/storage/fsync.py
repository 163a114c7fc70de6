"""Making records durable against the loss of power: one flush for all that were written by then.

While a flush runs, further records are written; the next flush covers them all. So under load the number of
records a flush covers grows by itself, and a single record waits for nothing but the disk.
"""

import threading
from collections.abc import Callable
from time import perf_counter
from typing import Protocol

from tidewire.observability.counters import JournalStatistics
from tidewire.storage.files import File, Files


class NewSyncer(Protocol):
    """Makes a syncer; the tests' one flushes when told to."""

    def __call__(
        self,
        files: Files,
        *,
        durable: int,
        on_durable: Callable[[], None],
        on_failed: Callable[[Exception], None],
    ) -> "Syncer":
        """Makes it, with `durable` as the newest record that is on the disk already."""
        ...


class Syncer:
    """Knows what was written and flushes it; `ThreadedSyncer` does it by itself.

    `begin`, `wrote` and `close` belong to the thread that appends, `flush` to the one that flushes.
    """

    def __init__(
        self,
        files: Files,
        *,
        durable: int,
        on_durable: Callable[[], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        self.durable = durable
        self.failed = False
        self._files = files
        self._on_durable = on_durable
        self._on_failed = on_failed
        self.statistics = JournalStatistics()
        """Where flushes are counted; a store puts its own in place."""
        self._written = durable
        self._lock = threading.Lock()
        self._segments: list[File] = []
        self._begun = 0
        self._entered = 0

    def begin(self, segment: File) -> None:
        """Records go to this segment from here on; those before it are closed once they are flushed."""
        with self._lock:
            self._segments.append(segment)
            self._begun += 1

    def wrote(self, position: int) -> None:
        """Notes that a record was written, so that it is flushed soon."""
        self._written = position

    def flush(self) -> bool:
        """Makes durable what was written by now; False when that failed, after which nothing more is."""
        if self.failed:
            return False
        # In this order: a record's segment is begun before the record is written.
        target = self._written
        with self._lock:
            segments = list(self._segments)
            begun = self._begun
        began = perf_counter()
        try:
            for segment in segments:
                segment.sync()
            if begun > self._entered:
                self._files.sync_directory()
                self._entered = begun
        except OSError as error:
            # The kernel may have dropped what it could not write, and the next flush would say all is well.
            self.failed = True
            self._on_failed(error)
            return False
        self.statistics.flushes.add(perf_counter() - began)
        self._retire(segments[:-1])
        if target > self.durable:
            self.durable = target
            self._on_durable()
        return True

    def close(self) -> None:
        """Flushes what is left and closes the segments."""
        self.flush()
        self._retire(list(self._segments))

    def _retire(self, segments: list[File]) -> None:
        with self._lock:
            for segment in segments:
                self._segments.remove(segment)
        for segment in segments:
            segment.close()


class ThreadedSyncer(Syncer):
    """Flushes on a thread of its own, whenever there is something to flush."""

    def __init__(
        self,
        files: Files,
        *,
        durable: int,
        on_durable: Callable[[], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        super().__init__(files, durable=durable, on_durable=on_durable, on_failed=on_failed)
        self._wake = threading.Event()
        self._closing = False
        # A daemon, so that a process that ends without `close` does not wait for it.
        self._thread = threading.Thread(target=self._run, name="tidewire-syncer", daemon=True)
        self._thread.start()

    def wrote(self, position: int) -> None:
        """A record was written; the thread is woken unless it is awake."""
        self._written = position
        # Asking first costs a tenth of setting. The thread clears before it reads what was written.
        if not self._wake.is_set():
            self._wake.set()

    def close(self) -> None:
        """Flushes what is left, ends the thread, closes the segments."""
        self._closing = True
        self._wake.set()
        self._thread.join()
        super().close()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait()
            self._wake.clear()
            if not self.flush():
                return
