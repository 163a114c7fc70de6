"""`manage.py tidewire_relay`: sends what the outbox holds, until SIGTERM or Ctrl-C."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from tidewire.contrib.django.conf import conf
from tidewire.contrib.django.relay import Relay, keep_relaying
from tidewire.publisher import PublishFailed


class Command(BaseCommand):
    """`manage.py tidewire_relay`: publishes what the outbox holds."""

    help = "Sends the events of committed transactions to the Tidewire server, and removes what it confirmed."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declares the command's options."""
        parser.add_argument("--once", action="store_true", help="Stop when the outbox is empty.")

    def handle(self, *_arguments: Any, **options: Any) -> None:
        """Runs until told to stop."""
        relay = Relay(conf())
        try:
            if options["once"]:
                self._empty(relay)
            else:
                self._keep_on(relay)
        finally:
            relay.close()

    def _empty(self, relay: Relay) -> None:
        try:
            while relay.run_once():
                pass
        except (PublishFailed, DatabaseError) as error:
            raise CommandError(f"The outbox could not be emptied: {error}") from error

    def _keep_on(self, relay: Relay) -> None:
        stop = threading.Event()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
        keep_relaying(relay, stop, report=self.stderr.write)
