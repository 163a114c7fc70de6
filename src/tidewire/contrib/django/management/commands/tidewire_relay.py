"""`manage.py tidewire_relay`: sends what the outbox holds, until SIGTERM or Ctrl-C."""

import random
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, close_old_connections

from tidewire.contrib.django.conf import conf
from tidewire.contrib.django.relaying import Relay
from tidewire.publisher import PublishFailed

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds that it waits after a failure, doubled up to the longest, with chance."""


class Command(BaseCommand):
    """The command."""

    help = "Sends the events of committed transactions to the Tidewire server, and removes what it confirmed."

    def add_arguments(self, parser: CommandParser) -> None:
        """Its options."""
        parser.add_argument("--once", action="store_true", help="Stop when the outbox is empty.")

    def handle(self, *_arguments: Any, **options: Any) -> None:
        """Runs until told to stop."""
        stop = threading.Event()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
        relay = Relay(conf())
        try:
            self._run(relay, stop, once=options["once"])
        finally:
            relay.close()

    def _run(self, relay: Relay, stop: threading.Event, *, once: bool) -> None:
        pause = FIRST_PAUSE
        while not stop.is_set():
            try:
                done = relay.run_once()
            except (PublishFailed, DatabaseError) as error:
                if once:
                    raise CommandError(f"The outbox could not be emptied: {error}") from error
                self.stderr.write(f"The outbox waits: {error}")
                close_old_connections()
                stop.wait(random.uniform(pause / 2, pause))  # noqa: S311 - to spread relays, no secret
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            pause = FIRST_PAUSE
            if not done:
                if once:
                    return
                stop.wait(conf().interval)
