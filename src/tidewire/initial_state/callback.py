"""State from the application over HTTP: one address that is asked to read, and to apply events.

The application answers `{"state": {...}, "event_types": [...]}` to `"step": "read"`, where `event_types` names what it
can apply, and `{"state": {...}, "applied": N}` to `"step": "apply"`. `docs/howto/provide-initial-state.md` has both.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from tidewire._http.bounded import Caller, CallFailed
from tidewire.core.errors import StateUnavailable
from tidewire.initial_state import Asked, Event, State

OK = 200
FIRST_SERVER_ERROR = 500
RETRY_PAUSE = 0.1
"""Seconds, times the number of the attempt: long enough for a worker to be replaced."""


class _Read(Struct):
    state: dict[str, Any]
    event_types: frozenset[str] = frozenset()


class _Applied(Struct):
    state: dict[str, Any]
    applied: int | None = None


_ENCODER = msgspec.json.Encoder()
_READ = msgspec.json.Decoder(_Read)
_APPLIED = msgspec.json.Decoder(_Applied)

ReportFailure = Callable[[str, Exception], None]
"""Told which step failed, and why."""


class CallbackSource:
    """The application behind one address."""

    def __init__(self, caller: Caller, *, attempts: int, report: ReportFailure) -> None:
        """Takes the address, how often a call is tried, and who is told of failures."""
        self._caller = caller
        self._attempts = attempts
        self._report = report

    async def read(self, asked: Asked) -> "CallbackDraft":
        """Has the application read.

        Raises:
            StateUnavailable: it gave no state.
        """
        about = _about(asked)
        try:
            found = _READ.decode(await self.call({"step": "read", **about}))
        except (CallFailed, msgspec.DecodeError) as error:
            self._report("read", error)
            raise StateUnavailable("The application did not give its state") from error
        return CallbackDraft(self, about, found.state, found.event_types, report=self._report)

    async def call(self, content: dict[str, Any]) -> bytes:
        """The body of the application's answer.

        Raises:
            CallFailed: there is none, or it is no success.
        """
        body = _ENCODER.encode(content)
        for attempt in range(1, self._attempts):
            try:
                return await self._call_once(body)
            except CallFailed as error:
                if not error.retry_helps:
                    raise
            await asyncio.sleep(RETRY_PAUSE * attempt)
        return await self._call_once(body)

    async def _call_once(self, body: bytes) -> bytes:
        reply = await self._caller.post(body)
        if reply.status != OK:
            error = CallFailed(f"The application answered {reply.status}")
            error.retry_helps = reply.status >= FIRST_SERVER_ERROR
            raise error
        return reply.body


class CallbackDraft:
    """What the application read; it applies events itself."""

    def __init__(
        self,
        source: CallbackSource,
        about: dict[str, Any],
        state: State,
        event_types: frozenset[str],
        *,
        report: ReportFailure,
    ) -> None:
        self._source = source
        self._about = about
        self._report = report
        self.state = state
        self.event_types = event_types

    async def apply(self, events: Sequence[Event]) -> int:
        """Has the application apply them; when it can't, they are left for the client."""
        content = {"step": "apply", **self._about, "state": self.state, "events": events}
        try:
            answer = _APPLIED.decode(await self._source.call(content))
        except (CallFailed, msgspec.DecodeError) as error:
            self._report("apply", error)
            return 0
        self.state = answer.state
        return len(events) if answer.applied is None else min(max(answer.applied, 0), len(events))


def _about(asked: Asked) -> dict[str, Any]:
    return {
        "user_id": asked.user.id,
        "realm_id": asked.user.realm_id,
        "email": asked.user.email,
        "queue_id": asked.queue_id,
        "fetch_event_types": None if asked.fetch_types is None else sorted(asked.fetch_types),
        "event_types": asked.event_types,
        "options": dict(asked.options),
    }
