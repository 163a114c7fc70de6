"""The tests' own stopwatch: it runs while nothing waits for a processor, and stands still while something does."""

import subprocess
import sys
import time

from support.stopwatch import Stopwatch
from support.waiting import eventually

SPIN = "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nwhile True: pass"


def test_it_counts_what_passes_while_the_processor_is_free_or_not_wanted() -> None:
    watch = Stopwatch()
    began = time.monotonic()
    time.sleep(0.2)
    passed = time.monotonic() - began
    # Waking up takes a processor too, so that it may count less, but no more than has passed since.
    assert 0 < watch.seconds <= time.monotonic() - began + 0.01
    assert passed >= 0.2


def test_a_process_that_does_not_get_the_processor_costs_nothing() -> None:
    """Two programs on one processor: each waits for half of the time."""
    command = [sys.executable, "-c", SPIN]
    with (
        subprocess.Popen(command) as first,  # noqa: S603 - made here
        subprocess.Popen(command) as second,  # noqa: S603 - made here
    ):
        try:
            watch = Stopwatch(first.pid, second.pid)
            began = time.monotonic()
            eventually(
                lambda: time.monotonic() - began - watch.seconds > 0.2,
                what="the processor was waited for",
            )
            assert watch.seconds < time.monotonic() - began
        finally:
            first.kill()
            second.kill()


def test_a_process_that_ended_counts_with_what_it_waited_before() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.1)"]) as process:
        watch = Stopwatch(process.pid)
        assert watch.until(lambda: process.poll() is not None, what="it has ended") > 0
