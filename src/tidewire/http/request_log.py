"""The log of requests: one line for each that is finished (R11.1-R11.5, R11.15, R11.16).

An entry is structured; `console_line` is how a person reads it. Where the log leaves such entries out, nothing
of them is put together.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from structlog.typing import FilteringBoundLogger

from tidewire.core.ids import RealmId
from tidewire.core.users import Realm
from tidewire.core.wire import event_type
from tidewire.escaping import escaped
from tidewire.http.access import Access
from tidewire.http.answers import Answer
from tidewire.http.client_name import client_of
from tidewire.http.note import Note

SLOW = 1.2
"""Seconds of work, waiting left out, from which on a request is said to be slow (R11.16)."""

SHOWN_BODY = 200
"""Characters of an error answer that are logged; longer ones are not (R11.15)."""

SHOWN_PATH = 200
"""Characters of a path that are logged: the longest route has some fifty, the rest is somebody's play."""

UNLOGGED_REFUSALS = frozenset({401, 404, 405})
"""Refusals that say nothing beyond their status (R11.15)."""

REQUEST = "request"
SLOW_REQUEST = "slow request"


class RequestLog:
    """Writes of each request, once it is answered."""

    def __init__(
        self,
        log: FilteringBoundLogger,
        *,
        access: Access,
        realm: Callable[[RealmId], Realm | None],
    ) -> None:
        """Takes the log, and who can say where a request came from and what realm is meant."""
        self._log = log
        self._access = access
        self._realm = realm
        self._writes = log.is_enabled_for(logging.INFO)

    def finished(self, note: Note, answer: Answer, *, ended: float) -> None:
        """Writes what there is to write of an answered request.

        Args:
            note: what was noted of it.
            answer: its answer.
            ended: when serving ended, by the clock of `Note.began`.
        """
        busy = ended - note.began - (note.waited or 0.0)
        is_slow = busy > SLOW
        if note.gone or not (self._writes or is_slow):
            return
        entry = self._entry(note, answer, busy)
        self._log.info(REQUEST, **entry)
        # The 40x answers, 400 to 409.
        if answer.status // 10 == 40 and answer.status not in UNLOGGED_REFUSALS:  # noqa: PLR2004 - see above
            self._log.info("refused", status=answer.status, answer=_shown(answer.body), who=entry["who"])
        if is_slow:
            self._log.warning(SLOW_REQUEST, **entry)

    def _entry(self, note: Note, answer: Answer, busy: float) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "address": self._access.shown_address(note.peer, note.headers),
            "method": note.method,
            "status": answer.status,
            "duration_ms": round(busy * 1000, 3),
        }
        if note.waited is not None:
            entry["waited_s"] = round(note.waited, 3)
        entry["path"] = note.path if len(note.path) <= SHOWN_PATH else f"{note.path[:SHOWN_PATH]}..."
        if note.batch is not None:
            entry |= {"queue_id": note.batch.queue_id, "events": len(note.batch.entries)}
            if len(note.batch.entries) == 1:
                entry["type"] = event_type(note.batch.entries[0])
            if note.displaced:
                entry["displaced"] = True
        client = note.client or client_of(
            None, note.headers.get("user-agent"), browser=note.path.startswith("/json/")
        )
        entry |= {"who": self._who(note), "client": client.name}
        if client.version:
            entry["version"] = client.version
        return entry

    def _who(self, note: Note) -> str:
        """R11.3; the realm by its whole host, because no part of it is known to be the deployment's."""
        if note.internal:
            return "internal"
        if note.user is None:
            return "unauth"
        realm = self._realm(note.user.realm_id)
        return f"{note.user.id}@{realm.host if realm is not None else note.user.realm_id}"


def _shown(body: bytes) -> str:
    text = body.decode().strip()
    return text if len(text) <= SHOWN_BODY else f"({len(text)} characters, not shown)"


def console_line(entry: Mapping[str, Any]) -> str:
    """An entry as a line for a person, its fields in the order of R11.1."""
    waited = f" (lp: {_duration(entry['waited_s'])})" if "waited_s" in entry else ""
    version = f"/{entry['version']}" if "version" in entry else ""
    line = (
        f"{entry['address']:<15} {entry['method']:<7} {entry['status']:>3} "
        f"{_duration(entry['duration_ms'] / 1000):>5}{waited} {entry['path']}{_extra(entry)} "
        f"({entry['who']} via {entry['client']}{version})"
    )
    return escaped(line)


def _extra(entry: Mapping[str, Any]) -> str:
    """R11.4, R11.5: the queue and the real number of events; of a single one its type."""
    if "queue_id" not in entry:
        return ""
    parts = [entry["queue_id"], str(entry["events"]), *([entry["type"]] if "type" in entry else [])]
    return f" [{'/'.join(parts)}]{' [was connected]' if 'displaced' in entry else ''}"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f}s" if seconds >= 1 else f"{seconds * 1000:.0f}ms"
