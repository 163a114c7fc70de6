"""The relay: sends what the outbox holds, in order, and removes what the server has confirmed.

A row is removed after its confirmation, never before, so a crash in between sends it again; its notice id makes that
harmless. Rows are taken by what is there, not by a position, so one whose transaction was committed late is not missed.
"""

import json
import logging
import random
import threading
from collections.abc import Callable, Sequence
from itertools import groupby, product
from typing import Any
from urllib.parse import urlencode

from django.apps import apps
from django.db import DatabaseError, close_old_connections, connections, transaction
from django.utils import timezone

from tidewire._http import Connection, TransportFailed, error_of
from tidewire.contrib.django.conf import Conf, conf
from tidewire.publisher import Publisher, PublishFailed

OK = 200
FORM = "application/x-www-form-urlencoded"
REVOKE = "/api/internal/revoke_session"

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds that it waits after a failure, doubled up to the longest, with chance."""

_log = logging.getLogger("tidewire.relay")


class Relay:
    """Empties one outbox to one server."""

    def __init__(self, conf: Conf, *, retry_for: float = 5.0) -> None:
        """Takes the settings, and the seconds for which a batch is tried before it waits for the next turn."""
        self._conf = conf
        self._publisher = Publisher(conf.url, secret=conf.secret, timeout=conf.timeout, retry_for=retry_for)
        headers = {"Authorization": f"Bearer {conf.secret}"}
        self._connections = [Connection(url, headers=headers) for url in conf.shards or (conf.url,)]

    def close(self) -> None:
        """Disconnects."""
        self._publisher.close()
        for connection in self._connections:
            connection.close()

    def run_once(self) -> int:
        """Sends one batch; returns how many rows are done with, whether taken or refused.

        Raises:
            PublishFailed: the server can't be reached, or takes nothing now; the rows are still there.
            django.db.Error: the database can't be had.
        """
        done = 0
        with transaction.atomic(using=self._conf.database):
            rows = list(self._waiting()[: self._conf.batch])
            for kind, group in groupby(rows, key=lambda row: row.kind):
                batch = list(group)
                send = self._revoke if kind == "session" else self._publish
                done += self._send(batch, send)
        return done

    def _waiting(self) -> Any:
        """The rows, locked where the database can: a second relay waits instead of sending the same."""
        rows = apps.get_model("tidewire", "Outgoing").objects.using(self._conf.database)
        if connections[self._conf.database].features.has_select_for_update:
            rows = rows.select_for_update()
        return rows.filter(refused=None).order_by("id")

    def _send(self, batch: Sequence[Any], send: Callable[[Sequence[Any]], None]) -> int:
        """Sends rows of one kind; of those that the server refuses for good each is found and kept."""
        try:
            send(batch)
        except PublishFailed as error:
            if error.retry_helps:
                raise
            return self._without_refused(batch, send, error)
        self._remove(batch)
        return len(batch)

    def _without_refused(
        self, batch: Sequence[Any], send: Callable[[Sequence[Any]], None], error: PublishFailed
    ) -> int:
        if error.http_status in (401, 403):  # it is the relay that is refused, not what it sends
            raise error
        if len(batch) == 1:
            self._refuse(batch[0], error)
            return 1
        at = error.index
        if at is None or not 0 <= at < len(batch):
            return sum(self._send([row], send) for row in batch)
        return (
            (self._send(batch[:at], send) if at else 0)
            + self._send([batch[at]], send)
            + (self._send(batch[at + 1 :], send) if at + 1 < len(batch) else 0)
        )

    def _publish(self, batch: Sequence[Any]) -> None:
        self._publisher.send([json.loads(row.content) for row in batch])

    def _revoke(self, batch: Sequence[Any]) -> None:
        for row, connection in product(batch, self._connections):
            body = urlencode({"session": row.content}).encode()
            try:
                answer = connection.request(
                    "POST", REVOKE, timeout=self._conf.timeout, body=body, content_type=FORM
                )
            except TransportFailed as error:
                raise PublishFailed(str(error), code=error.code, http_status=503, retry_helps=True) from error
            if answer.status != OK:
                code, sentence, _ = error_of(answer)
                raise PublishFailed(
                    sentence, code=code, http_status=answer.status, retry_helps=answer.is_transient
                )

    def _remove(self, batch: Sequence[Any]) -> None:
        rows = apps.get_model("tidewire", "Outgoing").objects.using(self._conf.database)
        rows.filter(pk__in=[row.pk for row in batch]).delete()

    def _refuse(self, row: Any, error: PublishFailed) -> None:
        _log.error("refused for good: %s: %s", row, error)
        row.refused = timezone.now()
        row.reason = str(error)
        row.save(update_fields=["refused", "reason"])


def keep_relaying(relay: Relay, stop: threading.Event, *, report: Callable[[str], object]) -> None:
    """Sends what comes into the outbox until told to stop; `report` is told of failures, which are tried again."""
    pause = FIRST_PAUSE
    while not stop.is_set():
        try:
            done = relay.run_once()
        except (PublishFailed, DatabaseError) as error:
            report(f"The outbox waits: {error}")
            close_old_connections()
            stop.wait(random.uniform(pause / 2, pause))  # noqa: S311 - to spread relays, no secret
            pause = min(pause * 2, LONGEST_PAUSE)
            continue
        pause = FIRST_PAUSE
        if not done:
            stop.wait(conf().interval)
