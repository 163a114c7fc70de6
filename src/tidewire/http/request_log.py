"""The request log: one entry for each finished request, and the short id that connects the entries of a request.

Where the log would leave an entry out, none is put together. There is one for every event that a client gets, so they take a
shorter way into the log than others (`Lines`), and what is the same from one to the next is put together once (`KnownLine`).
"""

import itertools
import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from structlog.typing import FilteringBoundLogger

from tidewire._text import escaped
from tidewire.core.errors import BadRequest
from tidewire.core.events.encoding import Entry, event_type
from tidewire.core.ids import RealmId
from tidewire.core.state.state import Batch
from tidewire.core.users import Realm
from tidewire.http.parameters import Client, client_of
from tidewire.http.request_info import RequestInfo
from tidewire.http.responses import Response
from tidewire.http.security import Access
from tidewire.observability.log_level import LogControl
from tidewire.observability.request_entries import (
    REQUEST,
    SLOW_REQUEST,
    Lines,
    _duration,
)


class RequestIds:
    """Numbers requests; a number becomes an id only where it is written."""

    __slots__ = ("start", "take")

    def __init__(self, process: str | None = None) -> None:
        """Takes what tells the ids of this process from those of others; by default something made up."""
        self.start = f"{process or secrets.token_hex(2)}-"
        """What all ids of this process begin with; the number in hexadecimal follows."""
        self.take = itertools.count(1).__next__
        """Returns the number of one more request."""

    def shown(self, number: int) -> str:
        """The id of the request with this number."""
        return f"{self.start}{number:x}"


SLOW = 1.2
"""Seconds of work, waiting left out, from which on a request is said to be slow (R11.16)."""


SHOWN_BODY = 200
"""Characters of an error answer that are logged; longer ones are not (R11.15)."""


SHOWN_PATH = 200
"""Characters of a path that are logged: the longest route has some fifty, the rest is somebody's play."""


UNLOGGED_REFUSALS = frozenset({401, 404, 405})
"""Refusals that say nothing beyond their status (R11.15)."""


POLL_PATH, SESSION_POLL_PATH = "/api/v1/events", "/json/events"
"""Of the polls that there are short lines for, and of those with a browser session."""


PUBLISH_PATH = "/api/internal/notices"
"""The path of publishing, whose log lines are made in advance too."""


class KnownLine(NamedTuple):
    """What is the same in the entries of a client's polls, or of what it publishes on one connection.

    Attributes:
        entry: those of its members.
        start: how the line for a person begins.
        path: what stands behind the times.
        end: how it ends, behind what differs.
    """

    entry: Mapping[str, Any]
    start: str
    path: str
    end: str


NO_LINE = KnownLine({}, "", "", "")
"""Of a connection on which no poll has come yet."""


class RequestLog:
    """Writes of each request, once it is answered."""

    def __init__(
        self,
        log: FilteringBoundLogger,
        *,
        access: Access,
        realm: Callable[[RealmId], Realm | None],
        lines: Lines | None = None,
        ids: RequestIds | None = None,
        control: LogControl | None = None,
    ) -> None:
        """Takes what it needs.

        Args:
            log: where entries go.
            access: says where a request came from.
            realm: says what realm is meant.
            lines: the shorter way; without it request entries go to the log as all others.
            ids: names requests.
            control: by which the log's level may change.
        """
        self._log = log
        self._access = access
        self._realm = realm
        self._lines = lines
        self._ids = ids or RequestIds()
        self.writes = log.is_enabled_for(logging.INFO)
        if control is not None:
            control.listen(self._look)
        self._last_body = b""
        self._last_type = ""
        self._last_shown = ""

    def _look(self) -> None:
        """Reads the log level again after it has changed."""
        self.writes = self._log.is_enabled_for(logging.INFO)

    def known_line(self, info: RequestInfo) -> KnownLine:
        """What the entries of this client's further requests of the kind have in common, if they succeed."""
        address = self._access.shown_address(info.peer, info.headers)
        client, who = self._client(info), self._who(info)
        start = escaped(f"{address:<15} {info.method:<7} 200 ")
        end = escaped(f" ({who} via {client.name}{'/' + client.version if client.version else ''})")
        entry = {"address": address, "method": info.method, "status": 200, "path": info.path}
        entry |= {"who": who, "client": client.name}
        whole = entry | ({"version": client.version} if client.version else {})
        return KnownLine(whole, start, f" {info.path}", f"{end} {self._ids.start}")

    def polled(
        self,
        line: KnownLine,
        batch: Batch,
        *,
        busy: float,
        waited: float | None,
        displaced: bool,
        number: int = 0,
    ) -> None:
        """Writes of an answered poll, the request with this number."""
        is_slow = busy > SLOW
        if not (self.writes or is_slow):
            return
        if self._lines is not None and not self._lines.structured and not is_slow:
            # Nearly every answer comes by here: `console_line` of the whole entry, put together at once.
            entries = batch.entries
            if len(entries) == 1:
                if entries[0][1] is not self._last_body:
                    self._type_of(entries[0])
                what: str | int = self._last_shown
            else:
                what = len(entries)
            waiting = "" if waited is None else f" (lp: {_duration(waited)})"
            self._lines.write_line(
                f"{line.start}{_duration(busy):>5}{waiting}{line.path} [{batch.queue_id}/{what}]"
                f"{' [was connected]' if displaced else ''}{line.end}{number:x}"
            )
            return
        entry = {**line.entry, "duration_ms": round(busy * 1000, 3)}
        if waited is not None:
            entry["waited_s"] = round(waited, 3)
        entry |= {"queue_id": batch.queue_id, "events": len(batch.entries)}
        if len(batch.entries) == 1:
            entry["type"] = self._type_of(batch.entries[0])
        if displaced:
            entry["displaced"] = True
        self._write({**entry, "request_id": self._ids.shown(number)}, is_slow=is_slow)

    def published(self, line: KnownLine, *, busy: float, number: int) -> None:
        """Writes of notices that were taken, the request with this number."""
        is_slow = busy > SLOW
        if not (self.writes or is_slow):
            return
        if self._lines is not None and not self._lines.structured and not is_slow:
            self._lines.write_line(f"{line.start}{_duration(busy):>5}{line.path}{line.end}{number:x}")
            return
        rest = {"duration_ms": round(busy * 1000, 3), "request_id": self._ids.shown(number)}
        self._write({**line.entry, **rest}, is_slow=is_slow)

    def _write(self, entry: Mapping[str, Any], *, is_slow: bool) -> None:
        if self._lines is None:
            self._log.info(REQUEST, **entry)
        elif self.writes:
            self._lines.write(entry)
        if is_slow:
            self._log.warning(SLOW_REQUEST, **entry)

    def _type_of(self, entry: Entry) -> str:
        # The same event goes to one client after the other.
        if entry[1] is not self._last_body:
            self._last_type = event_type(entry)
            self._last_shown = f"1/{escaped(self._last_type)}"
            self._last_body = entry[1]
        return self._last_type

    def finished(self, info: RequestInfo, response: Response, *, ended: float) -> None:
        """Writes what there is to write of an answered request.

        Args:
            info: what was noted of it.
            response: its answer.
            ended: when serving ended, by the clock of `RequestInfo.began`.
        """
        busy = ended - info.began - (info.waited or 0.0)
        is_slow = busy > SLOW
        if info.gone or not (self.writes or is_slow):
            return
        if info.quiet and response.status < BadRequest.http_status and not is_slow:
            return
        entry = self._entry(info, response, busy)
        self._write(entry, is_slow=False)
        # The 40x answers, 400 to 409.
        if response.status // 10 == 40 and response.status not in UNLOGGED_REFUSALS:  # noqa: PLR2004 - see above
            self._log.info("refused", status=response.status, answer=_shown(response.body), **_whose(entry))
        if is_slow:
            self._log.warning(SLOW_REQUEST, **entry)

    def _entry(self, info: RequestInfo, response: Response, busy: float) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "address": self._access.shown_address(info.peer, info.headers),
            "method": info.method,
            "status": response.status,
            "duration_ms": round(busy * 1000, 3),
        }
        if info.waited is not None:
            entry["waited_s"] = round(info.waited, 3)
        entry["path"] = info.path if len(info.path) <= SHOWN_PATH else f"{info.path[:SHOWN_PATH]}..."
        if info.batch is not None:
            entry |= {"queue_id": info.batch.queue_id, "events": len(info.batch.entries)}
            if len(info.batch.entries) == 1:
                entry["type"] = self._type_of(info.batch.entries[0])
            if info.displaced:
                entry["displaced"] = True
        client = self._client(info)
        entry |= {"who": self._who(info), "client": client.name}
        if client.version:
            entry["version"] = client.version
        entry["request_id"] = self._ids.shown(info.number)
        return entry

    def _client(self, info: RequestInfo) -> Client:
        agent = info.headers.get("user-agent")
        return info.client or client_of(None, agent, browser=info.path.startswith("/json/"))

    def _who(self, info: RequestInfo) -> str:
        """R11.3; the realm by its whole host, because no part of it is known to be the deployment's."""
        if info.internal:
            return "internal"
        if info.user is None:
            return "unauth"
        realm = self._realm(info.user.realm_id)
        return f"{info.user.id}@{realm.host if realm is not None else info.user.realm_id}"


def _whose(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"who": entry["who"], "request_id": entry["request_id"]}


def _shown(body: bytes) -> str:
    text = body.decode().strip()
    return text if len(text) <= SHOWN_BODY else f"({len(text)} characters, not shown)"
