"""Playing a scenario: each step on the real engine, and what every client got."""

import random
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from tidewire.core.dump import DumpedQueue, Unreadable, read_pair, split_dump
from tidewire.core.errors import BadRequest, WireError
from tidewire.core.events.coalescing import MergeRule
from tidewire.core.events.encoding import encode_entry
from tidewire.core.events.presentation import Presentation
from tidewire.core.ids import QueueId, UserId
from tidewire.core.notices.notice import decode_notice
from tidewire.core.notifications.worker_records import queue_names, wire_record
from tidewire.core.persistence.snapshot import decode_snapshot, encode_snapshot
from tidewire.core.shard import Shard
from tidewire.core.state.limits import IdleTimeouts, Limits
from tidewire.core.state.state import Batch
from tidewire.engine.engine import Engine, PollWaiter
from tidewire.engine.timing import TICK, EngineTiming
from tidewire.engine.transfer import Imports
from tidewire.replay.scenario import (
    Scenario,
    ScenarioError,
    Step,
    asked,
    checked_arguments,
    queue_spec,
    refusal,
)
from tidewire.replay.strict_reporter import RaisingReporter
from tidewire.replay.virtual_clock import VirtualClock
from tidewire.storage.journal import NullJournal

Result: TypeAlias = dict[str, Any]

A = TypeVar("A")

START = 1_790_000_000.0
"""When every scenario begins."""

RESTART: Mapping[str, Any] = MappingProxyType(
    {
        "type": "restart",
        "zulip_version": "12.0",
        "zulip_merge_base": "12.0",
        "zulip_feature_level": 491,
        "server_generation": int(START),
    }
)


class Play:
    """A scenario that is being played."""

    def __init__(
        self,
        *,
        limits: Limits,
        timing: EngineTiming,
        timeouts: IdleTimeouts,
        presentation: Presentation,
        rules: Mapping[str, MergeRule] = MappingProxyType({}),
    ) -> None:
        # Whoever takes a scenario's notifications takes them at once, so none has to give way.
        self._limits = replace(limits, outbox_max=0)
        self._presentation = presentation
        self._rules = rules
        self._timing = timing
        self._timeouts = timeouts
        self._clock = VirtualClock(START)
        self._soon: deque[Callable[[], None]] = deque()
        self._chance = random.Random(0)  # noqa: S311 - when heartbeats come, the same in every run
        self._owners: dict[str, UserId] = {}
        self._number = 0
        self._waiting: dict[str, _Waiter] = {}
        self._completions: list[Result] = []
        self._published: list[Result] = []
        self._step = -1
        self._engine = self._new_engine(self._new_shard())

    def run(self, scenario: Scenario) -> Result:
        """Plays it and returns what everybody got."""
        registered = [self._register(client) for client in scenario.clients]
        steps: list[Result] = []
        for number, step in enumerate(scenario.steps):
            self._step = number
            steps.append(self._play(step))
            self._take_notifications()
        return {
            "name": scenario.name,
            "register": registered,
            "steps": steps,
            "completions": self._completions,
            "published": self._published,
        }

    def _play(self, step: Step) -> Result:
        play = STEPS.get(step.kind)
        if play is None:
            raise ScenarioError(f"step {self._step}: this version can't play `{step.kind}`")
        with checked_arguments(self._step, step.kind):
            try:
                result = play(self, step.arguments)
            except WireError as error:
                result = refusal(error)
        self._run_soon()
        return result

    # Steps.

    def _register(self, arguments: dict[str, Any]) -> Result:
        try:
            spec = queue_spec(arguments, self._timeouts)
            slot: _Answer[QueueId] = _Answer()
            self._engine.register(spec, slot)
        except WireError as error:
            return refusal(error)
        self._owners[slot.answer] = spec.user_id
        return {"events": [], "queue_id": slot.answer}

    def _notify(self, arguments: dict[str, Any]) -> Result:
        self._engine.publish([decode_notice(msgspec.json.encode(arguments))], _Answer[int]())
        return {}

    def _poll(self, arguments: dict[str, Any]) -> Result:
        queue_id, user_id = asked(arguments, self._owners)
        if arguments.get("last_event_id") is None:
            raise BadRequest("Missing 'last_event_id' argument")
        waiter = _Waiter(self)
        self._engine.poll(
            queue_id,
            user_id=user_id,
            last_event_id=int(arguments["last_event_id"]),
            block=bool(arguments.get("block", False)),
            waiter=waiter,
        )
        if waiter.events is None:
            self._waiting[queue_id] = waiter
            waiter.parked = True
            return {"pending": True}
        return {"events": waiter.events}

    def _disconnect(self, arguments: dict[str, Any]) -> Result:
        queue_id, _ = asked(arguments, self._owners)
        waiter = self._waiting.pop(queue_id, None)
        if waiter is not None:
            self._engine.poll_disconnected(queue_id, waiter)
        return {}

    def _cleanup(self, arguments: dict[str, Any]) -> Result:
        queue_id, user_id = asked(arguments, self._owners)
        self._engine.delete(queue_id, user_id=user_id, waiter=_Answer[QueueId]())
        return {}

    def _advance(self, arguments: dict[str, Any]) -> Result:
        seconds = float(arguments["secs"])
        # Second by second while a heartbeat may be due, then in one step: nobody waits any more.
        for _ in range(min(int(seconds), int(self._timing.heartbeat_max) + 5)):
            self._clock.advance(TICK)
            self._engine.tick()
            self._run_soon()
            seconds -= TICK
        self._clock.advance(seconds)
        self._engine.tick()
        return {}

    def _collect(self, arguments: dict[str, Any]) -> Result:
        self._advance({"secs": arguments.get("advance_secs", 0)})
        return {"removed": list(self._engine.collect())}

    def _dump_and_load(self, arguments: dict[str, Any]) -> Result:
        self._engine.release(self._engine.shard.queues())
        snapshot = decode_snapshot(encode_snapshot(self._engine.snapshot()))
        shard = self._new_shard()
        shard.restore(snapshot)
        self._engine = self._new_engine(shard)
        self._engine.begin(resumed=False)
        return self._started(arguments)

    def _load(self, arguments: dict[str, Any]) -> Result:
        """A start from a dump in place of what there is; one that can't be read leaves the server empty (R10.5)."""
        raw = arguments.get("raw")
        data = msgspec.json.encode(arguments["dump"]) if raw is None else str(raw).encode()
        self._engine.release(self._engine.shard.queues())
        self._engine = self._new_engine(self._new_shard())
        dumped: list[DumpedQueue] = []
        with suppress(BadRequest):
            for pair in split_dump(data):
                with suppress(Unreadable):
                    dumped.append(read_pair(pair, {}))
        self._engine.dumps.take(dumped, _Answer[Imports]())
        # Of two queues with one id the first is there.
        self._owners = {queue.queue_id: queue.spec.user_id for queue in reversed(dumped)}
        self._number = 0
        return self._started(arguments)

    def _started(self, arguments: dict[str, Any]) -> Result:
        """The events that a start brings, as far as they are asked for."""
        result: Result = {"queues": self._engine.shard.queues()}
        if arguments.get("restart_events"):
            self._engine.announce_restart(RESTART)
        if arguments.get("web_reload"):
            result |= self._web_reload(arguments["web_reload"])
        return result

    def _web_reload(self, arguments: dict[str, Any]) -> Result:
        sent = self._engine.reload_clients(
            immediate=bool(arguments.get("immediate", False)), count=arguments.get("count")
        )
        return {"sent": sent}

    def _restart_events(self, _arguments: dict[str, Any]) -> Result:
        self._engine.announce_restart(RESTART)
        return {}

    # Around the engine.

    def _new_shard(self) -> Shard[PollWaiter]:
        return Shard(limits=self._limits, rules=self._rules, presentation=self._presentation)

    def _new_engine(self, shard: Shard[PollWaiter]) -> Engine:
        return Engine(
            shard=shard,
            journal=NullJournal(),
            clock=self._clock,
            reporter=RaisingReporter(),
            new_queue_id=self._next_name,
            chance=self._chance.random,
            call_soon=self._soon.append,
            timing=self._timing,
        )

    def _next_name(self) -> str:
        """The next free number; a refused registration takes none."""
        while f"q{self._number}" in self._owners:
            self._number += 1
        return f"q{self._number}"

    def _take_notifications(self) -> None:
        """Reads and acknowledges what the step put in the outbox, as a worker does."""
        for queue in queue_names(self._limits.mobile_shards):
            page = self._engine.shard.outbox_page(queue, after=0, limit=sys.maxsize)
            for _, record in page.records:
                self._published.append({"step": self._step, "queue": queue, "notice": wire_record(record)})
            if page.records:
                newest = page.records[-1][0]
                self._engine.acknowledge_outbox(queue, through=newest, waiter=_Answer[int]())

    def _run_soon(self) -> None:
        while self._soon:
            self._soon.popleft()()

    def completed(self, batch: Batch, events: list[Result]) -> None:
        """A poll that waited was answered."""
        self._waiting.pop(batch.queue_id, None)
        self._completions.append({"step": self._step, "queue_id": batch.queue_id, "events": events})


class _Answer(Generic[A]):
    """A slot that keeps its answer, which is there at once: nothing here waits for a disk."""

    answer: A

    def complete(self, answer: A) -> None:
        self.answer = answer


class _Waiter:
    """The slot of a poll: its events at once, or later as a completion."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self.parked = False
        self.events: list[Result] | None = None

    def complete(self, answer: Batch) -> None:
        self.events = [msgspec.json.decode(encode_entry(entry)) for entry in answer.entries]
        if self.parked:
            self._play.completed(answer, self.events)


STEPS: Mapping[str, Callable[[Play, dict[str, Any]], Result]] = MappingProxyType(
    {
        "register": Play._register,  # noqa: SLF001 - the table belongs to the class
        "notify": Play._notify,  # noqa: SLF001 - the same
        "poll": Play._poll,  # noqa: SLF001 - the same
        "disconnect": Play._disconnect,  # noqa: SLF001 - the same
        "cleanup": Play._cleanup,  # noqa: SLF001 - the same
        "advance": Play._advance,  # noqa: SLF001 - the same
        "gc": Play._collect,  # noqa: SLF001 - the same
        "dump_and_load": Play._dump_and_load,  # noqa: SLF001 - the same
        "load": Play._load,  # noqa: SLF001 - the same
        "web_reload": Play._web_reload,  # noqa: SLF001 - the same
        "restart_events": Play._restart_events,  # noqa: SLF001 - the same
    }
)
