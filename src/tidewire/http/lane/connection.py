"""One connection of the fast lane: a poll waits on it as the engine's slot, and its answer is one write."""

import math
from typing import Any

from starlette.datastructures import Headers

from tidewire.core.events.encoding import encode_answer
from tidewire.core.ids import UserId
from tidewire.core.state.state import Batch
from tidewire.http.app import failure_of
from tidewire.http.authentication import admit_user, expired, is_for_sessions, is_served_here
from tidewire.http.fanout import publish
from tidewire.http.lane import shortcuts
from tidewire.http.lane.parsing import Head, parse_poll
from tidewire.http.lane.response_bytes import Renderer
from tidewire.http.lane.shared import Lane
from tidewire.http.lane.shortcuts import RememberedHead, RememberedPoll, digest_of, parts_of
from tidewire.http.lane.transport import HttpConnection
from tidewire.http.lane.write_budget import SMALL, TURN_BYTES, is_small
from tidewire.http.request_info import RequestInfo, client_of_note
from tidewire.http.request_log import NO_LINE, POLL_PATH, PUBLISH_PATH, SESSION_POLL_PATH
from tidewire.http.responses import Response
from tidewire.ports.auth import AuthResult, NeedsBackend


class LaneConnection(HttpConnection):
    """A connection that serves polls and publishing, and the slot of the poll that waits on it."""

    __slots__ = (
        "_began",
        "_displaces",
        "_ends_at",
        "_line",
        "_number",
        "_parked",
        "_path",
        "_publishes",
        "_repoll",
        "_republish",
        "_waits_on",
    )

    def __init__(self, lane: Lane) -> None:
        super().__init__(lane)
        self._waits_on: str | None = None
        """The queue that a poll waits on here."""
        self._repoll: RememberedPoll | None = None
        self._republish: RememberedHead | None = None
        self._publishes: RequestInfo | None = None
        """The request to publish whose body is on its way."""
        self._line = NO_LINE
        """What the log says of the poll under way."""
        self._number = 0
        """Of the request that asks for it."""
        self._path = POLL_PATH
        """By which it asks."""
        self._began = 0.0
        self._parked = 0.0
        self._displaces = False
        self._ends_at = math.inf
        """When the token or session of the poll under way expires."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells the engine when a poll waited here (R2.21)."""
        super().connection_lost(exc)
        if self._waits_on is not None:
            context = self._lane.context
            context.log.info("client disconnected", **self._named(self._waits_on))
            context.engine.poll_disconnected(self._waits_on, self)
            self._waits_on = None

    def _take(self, head: Head) -> bool:
        """Serves a request here if it is one of the two kinds; False when it is for the ordinary routes."""
        if head.method == b"GET":
            return self._take_poll(head)
        if head.method == b"POST" and head.target == shortcuts.PATH:
            return self._take_notices(head)
        return False

    def _take_again(self, data: bytes) -> bool:
        repoll, republish = self._repoll, self._republish
        if repoll is not None:
            acknowledged = repoll.acknowledged(data)
            return acknowledged is not None and self._poll_again(repoll, acknowledged)
        if republish is not None:
            body = republish.body_of(data)
            return body is not None and self._publish_again(republish, body)
        return False

    def _take_poll(self, head: Head) -> bool:
        poll = parse_poll(head.target)
        unusual = head.has_body or b"expect" in head.names or b"origin" in head.names
        if poll is None or unusual:
            return False
        lane = self._lane
        info = self._note(head, "GET", poll.path)
        if info.is_session and not is_for_sessions(info, lane.context):
            return False
        if lane.context.peers is not None and not is_served_here(info, lane.context, lane.context.peers):
            return False
        lane.statistics.polls += 1
        self._repoll = self._republish = None
        self._path, self._began, self._number = poll.path, info.began, info.number
        self._ends_at = math.inf
        info.client = client_of_note(info, poll.client)
        try:
            user = admit_user(info, lane.context)
            self._line = lane.log.known_line(info)
            if info.admitted is not None:
                self._ends_at = info.admitted.ends_at
            self._poll(poll.queue_id, user.id, poll.last_event_id, block=poll.block)
            lane.context.sessions.use(info.admitted, poll.queue_id)
        except NeedsBackend:
            # The ordinary route can wait for those who know.
            lane.statistics.polls -= 1
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, this connection gets an answer
            self._fail(info, error, lane.polls_of[self._path])
            return True
        found = digest_of(head, lane.bounds) if head.keep_alive and info.allowance is None else None
        if found is not None:
            self._repoll = RememberedPoll(
                *found,
                lane.context.generation,
                poll.queue_id,
                user.id,
                poll.block,
                self._line,
                *_times(info.admitted),
            )
        return True

    def _poll_again(self, repoll: RememberedPoll, acknowledged: int) -> bool:
        """Serves a repetition; False when it must be looked at again, as it then is from the beginning."""
        lane = self._lane
        if repoll.generation != lane.context.generation:
            return False
        if repoll.known_until != math.inf and lane.context.now() >= repoll.known_until:
            return False
        lane.idle.discard(self)
        self._began, self._number = lane.context.timer(), lane.context.request_ids.take()
        self._line = repoll.line
        self._ends_at = repoll.ends_at
        try:
            self._poll(repoll.queue_id, repoll.user_id, acknowledged, block=repoll.block)
        except Exception:  # noqa: BLE001 - it will be raised again, and answered then
            return False
        lane.statistics.repolls += 1
        return True

    def _poll(self, queue_id: str, user_id: UserId, acknowledged: int, *, block: bool) -> None:
        context = self._lane.context
        if self._lane.log.writes:
            before = context.engine.shard.find(queue_id)
            self._displaces = before is not None and before.waiter is not None
        self._busy = True
        self._waits_on = queue_id
        self._parked = 0.0
        try:
            context.engine.poll(
                queue_id,
                user_id=user_id,
                last_event_id=acknowledged,
                block=block and not context.lifecycle.stopping,
                waiter=self,
            )
        except BaseException:
            self._busy = False
            self._waits_on = None
            raise
        if self._busy:
            self._parked = context.timer()
            if self._ends_at != math.inf:
                self._lane.expiring[self] = self._ends_at
            if self._displaces:
                context.log.info("poll displaced", **self._named(queue_id))

    def complete(self, answer: Batch) -> None:
        """Takes the answer to the poll that waits here; called by the engine."""
        lane = self._lane
        self._waits_on = None
        if self._ends_at != math.inf:
            lane.expiring.pop(self, None)
        turn = lane.turn
        if turn.written > TURN_BYTES and not is_small(answer):
            turn.wait(self, answer)
            return
        if self.transport.is_closing():
            self._busy = False
            return  # nobody reads it, and the events stay in the queue (R6.16)
        lane.requests.polls += 1
        came = lane.context.timer()
        body = encode_answer(answer.queue_id, answer.entries)
        if len(body) > SMALL:
            turn.written += len(body)
        stopping = lane.context.lifecycle.stopping
        self._finish(lane.polls_of[self._path].success(body, stopping=stopping, keep_alive=self._keep_alive))
        waited = came - self._parked if self._parked else None
        busy = lane.context.timer() - self._began - (waited or 0.0)
        displaced = self._displaces and waited is None
        lane.log.polled(
            self._line, answer, busy=busy, waited=waited, displaced=displaced, number=self._number
        )

    def expire(self) -> None:
        """Ends the poll because its token or session has expired, unless its answer is under way."""
        context, queue_id = self._lane.context, self._waits_on
        if queue_id is None or not context.engine.poll_disconnected(queue_id, self):
            return
        self._waits_on = None
        self._repoll = None
        info = RequestInfo(
            method="GET",
            path=self._path,
            peer=self._address or None,
            headers=Headers(),
            began=self._began,
            number=self._number,
        )
        info.is_session = self._path == SESSION_POLL_PATH
        self._fail(info, expired(info), self._lane.polls_of[self._path])

    def _take_notices(self, head: Head) -> bool:
        lane = self._lane
        info = self._note(head, "POST", PUBLISH_PATH)
        if shortcuts.body_length(head) is None or shortcuts.is_detour(head):
            return False
        if not shortcuts.is_admitted(info, lane.context):
            return False
        self._publishes = info
        if not head.has_body:
            return self._take_whole(head, b"")
        self._take_body(head)
        return True

    def _take_whole(self, head: Head, body: bytes) -> bool:
        lane, info = self._lane, self._publishes
        self._publishes = None
        taken = shortcuts.read_notices(body, lane.context)
        if info is None or taken is None:
            return False
        info.began = lane.context.timer()
        self._repoll = None
        info.internal = True
        self._remember(head, info)
        lane.statistics.publishes += 1
        if isinstance(taken, Exception):
            self._fail(info, taken, lane.internal)
            return True
        self._busy = True
        try:
            publish(taken, lane.context, shortcuts.Confirmation(info, self._confirm))
        except Exception as error:  # noqa: BLE001 - whatever it is, this connection gets an answer
            self._fail(info, error, lane.internal)
        return True

    def _remember(self, head: Head, info: RequestInfo) -> None:
        """Remembers the head of an authenticated publisher's request, for its next one."""
        parts = parts_of(head, self._lane.bounds) if self._keep_alive else None
        line = self._lane.log.known_line
        self._republish = None if parts is None else RememberedHead(*parts, info.headers, line(info))

    def _publish_again(self, republish: RememberedHead, body: bytes) -> bool:
        """Serves a repetition; False when it must be looked at again, as it then is from the beginning."""
        lane = self._lane
        began = lane.context.timer()
        taken = shortcuts.read_notices(body, lane.context)
        if taken is None or isinstance(taken, Exception):
            return False
        lane.idle.discard(self)
        number = lane.context.request_ids.take()
        lane.statistics.publishes += 1
        self._busy = True
        try:
            publish(taken, lane.context, shortcuts.Repetition(began, number, self._confirm_again))
        except Exception as error:  # noqa: BLE001 - whatever it is, this connection gets an answer
            info = RequestInfo(
                method="POST",
                path=PUBLISH_PATH,
                peer=self._address or None,
                headers=republish.headers,
                began=began,
                number=number,
            )
            info.internal = True
            self._fail(info, error, lane.internal)
        return True

    def _confirm_again(self, began: float, number: int, accepted: int) -> None:
        lane = self._lane
        ended = lane.context.timer()
        lane.requests.answers[PUBLISH_PATH, "POST", 200] += 1
        body, stopping = shortcuts.confirmation(accepted).body, lane.context.lifecycle.stopping
        line = NO_LINE if self._republish is None else self._republish.line
        self._finish(lane.internal.success(body, stopping=stopping, keep_alive=self._keep_alive))
        lane.log.published(line, busy=ended - began, number=number)

    def _confirm(self, info: RequestInfo, response: Response) -> None:
        lane = self._lane
        ended = lane.context.timer()
        lane.requests.answers[info.path, info.method, response.status] += 1
        stopping = lane.context.lifecycle.stopping
        self._finish(lane.internal.success(response.body, stopping=stopping, keep_alive=self._keep_alive))
        lane.log.finished(info, response, ended=ended)

    def _note(self, head: Head, method: str, path: str) -> RequestInfo:
        info = RequestInfo(
            method=method,
            path=path,
            peer=self._address or None,
            headers=head.as_mapping(),
            began=self._lane.context.timer(),
            number=self._lane.context.request_ids.take(),
        )
        info.is_session = path == SESSION_POLL_PATH
        return info

    def _named(self, queue_id: str) -> dict[str, Any]:
        context = self._lane.context
        descriptor = context.engine.shard.find(queue_id)
        request_id = context.request_ids.shown(self._number)
        if descriptor is None:
            return {"queue_id": queue_id, "request_id": request_id}
        spec = descriptor.spec
        named = {"queue_id": queue_id, "user_id": spec.user_id, "client": spec.client_type_name}
        return named | {"request_id": request_id}

    # Answers.

    def _fail(self, info: RequestInfo, error: Exception, renderer: Renderer) -> None:
        """Answers with an error, as the ordinary routes do."""
        lane = self._lane
        response = failure_of(error, info, lane.context)
        ended = lane.context.timer()
        lane.requests.answers[info.path, info.method, response.status] += 1
        self._finish(
            renderer.answer(
                response,
                allowance=info.allowance,
                stopping=lane.context.lifecycle.stopping,
                keep_alive=self._keep_alive,
            )
        )
        lane.log.finished(info, response, ended=ended)


def _times(admitted: AuthResult | None) -> tuple[float, float]:
    """Until when the credentials hold unseen, and the right to poll."""
    return (math.inf, math.inf) if admitted is None else (admitted.known_until, admitted.ends_at)
