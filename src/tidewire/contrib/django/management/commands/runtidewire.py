"""`manage.py runtidewire`: a Tidewire server in this process, which knows the project's users and state by itself."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tidewire import TidewireError
from tidewire.config import ConfigError, Settings
from tidewire.contrib.django.conf import Conf, conf
from tidewire.contrib.django.in_process import Inside
from tidewire.contrib.django.mounted_pages import beside_the_server
from tidewire.contrib.django.providers import in_this_process
from tidewire.contrib.django.relay import Relay, keep_relaying
from tidewire.contrib.django.server_settings import shard_settings
from tidewire.observability.log import build_log
from tidewire.observability.log_level import LogControl
from tidewire.server.endpoint import as_it_is
from tidewire.server.server import Embedding, run

WRONG_USAGE = 2
"""The exit code for a configuration that can't be used, as `tidewire` has it."""


class Command(BaseCommand):
    """`manage.py runtidewire`: serves Tidewire with the project's settings."""

    help = "Serves events until SIGTERM or Ctrl-C, with the project's own sessions, tokens and state."
    requires_migrations_checks = True

    def add_arguments(self, parser: CommandParser) -> None:
        """Declares the command's options."""
        parser.add_argument(
            "--config", type=Path, help="Settings file of the server [tidewire.toml, if there]."
        )
        parser.add_argument("--port", type=int, help="Port to listen on [that of TIDEWIRE['URL']].")
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            dest="overrides",
            metavar="SECTION.KEY=VALUE",
            help="Any setting.",
        )
        parser.add_argument("--relay", action="store_true", help="Also send what the outbox holds.")
        parser.add_argument(
            "--pages", action="store_true", help="Also serve the project's own pages; for development."
        )

    def handle(self, *_arguments: Any, **options: Any) -> None:
        """Serves until a stop signal."""
        found = conf()
        try:
            port = [] if options["port"] is None else [f"server.port={options['port']}"]
            settings = shard_settings(found, file=options["config"], overrides=[*options["overrides"], *port])
            self._serve(found, settings, relay=options["relay"], pages=options["pages"])
        except ConfigError as error:
            raise CommandError(str(error), returncode=WRONG_USAGE) from error
        except TidewireError as error:
            raise CommandError(str(error)) from error

    def _serve(self, found: Conf, settings: Settings, *, relay: bool, pages: bool) -> None:
        inside = Inside(timeout=settings.auth.http_timeout, threads=found.threads)
        control = LogControl(settings.log.level)
        with contextlib.closing(inside), self._relaying(found) if relay else contextlib.nullcontext():
            run(
                settings,
                log=build_log(form=settings.log.format, level=control),
                embedding=Embedding(providers=in_this_process(), inside=inside, log_control=control),
                around=beside_the_server if pages else as_it_is,
            )

    @contextlib.contextmanager
    def _relaying(self, found: Conf) -> Iterator[None]:
        """Has the outbox emptied on a thread of its own; until the server listens, that waits."""
        stop, relay = threading.Event(), Relay(found)
        thread = threading.Thread(
            target=keep_relaying,
            args=(relay, stop),
            kwargs={"report": self.stderr.write},
            name="tidewire-relay",
        )
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            relay.close()
