"""Plays a scenario against a real server, over HTTP, as clients, publishers and workers would."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from tidewire.app.from_settings import limits
from tidewire.config import Settings
from tidewire.core.errors import WireError
from tidewire.core.events.capabilities import CAPABILITY_NAMES, NOT_DECLARED, TOP_LEVEL
from tidewire.core.ids import UserId
from tidewire.core.notifications.worker_records import queue_names
from tidewire.http.views.outbox import MOST_RECORDS
from tidewire.replay.accounts import Accounts
from tidewire.replay.local_server import LocalServer, serving, until
from tidewire.replay.raw_requests import OK, Answer, ask, request_bytes
from tidewire.replay.scenario import (
    USUAL,
    Scenario,
    ScenarioError,
    Step,
    asked,
    checked_arguments,
    refusal,
    user_and_realm,
)

OLD_APP = "ZulipMobile/26.0"
"""A User-Agent whose client does not know profile fields of the pronouns kind (R6.23)."""


ORDINARY = "tidewire-replay"


SAME_NAME = ("event_types", "narrow", "all_public_streams", "lifespan_secs", *sorted(TOP_LEVEL))
"""What a scenario's registration and the route's parameters call alike."""


def user_agent(registration: dict[str, Any]) -> str:
    """What the client calls itself."""
    is_old = registration.get("pronouns_field_type_supported", True) is False
    return OLD_APP if is_old else ORDINARY


def parameters(registration: dict[str, Any]) -> dict[str, Any]:
    """The parameters that ask for what the registration says."""
    flags = {**USUAL, **{name: registration[name] for name in CAPABILITY_NAMES if name in registration}}
    declared = {name: flag for name, flag in flags.items() if name not in TOP_LEVEL | NOT_DECLARED}
    return {
        **{name: registration[name] for name in SAME_NAME if name in registration},
        **{name: flag for name, flag in flags.items() if name in TOP_LEVEL},
        "client_capabilities": {"notification_settings_null": False, **declared},
        "client": registration.get("client_type_name", "website"),
    }


Result: TypeAlias = dict[str, Any]


async def play_over_http(scenario: Scenario, settings: Settings) -> Result:
    """Plays it and returns what everybody got, as `Play.run` does.

    Raises:
        ScenarioError: a step is wrong, or can't be played over HTTP.
    """
    _check(scenario)
    accounts = Accounts(scenario)
    async with serving(settings, accounts.users_file()) as server:
        play = HttpPlay(server, accounts, outbox=queue_names(limits(settings).mobile_shards))
        try:
            return await play.run(scenario)
        finally:
            await play.leave()


def _check(scenario: Scenario) -> None:
    """Before anything is done: whether every step can be played."""
    for number, step in enumerate(scenario.steps):
        if step.kind in NEEDS_MORE:
            raise ScenarioError(
                f"step {number}: `{step.kind}` needs {NEEDS_MORE[step.kind]}, which can't be had over HTTP; "
                "play it with --over engine"
            )
        if step.kind not in HTTP_STEPS:
            raise ScenarioError(f"step {number}: this version can't play `{step.kind}`")


class _Waiting(NamedTuple):
    """A poll that waits.

    Attributes:
        name: the queue's, in the scenario.
        waiter: what the server knows the poll by.
        answer: to come.
    """

    name: str
    waiter: object
    answer: asyncio.Task[Answer]


class HttpPlay:
    """A scenario that is being played over HTTP."""

    def __init__(self, server: LocalServer, accounts: Accounts, *, outbox: Sequence[str]) -> None:
        """Takes the server, who may ask it, and the notification queues that it has."""
        self._server = server
        self._accounts = accounts
        self._outbox = outbox
        self._owners: dict[str, UserId] = {}
        self._ids: dict[str, str] = {}
        self._waiting: list[_Waiting] = []
        self._completions: list[Result] = []
        self._published: list[Result] = []
        self._step = -1

    async def run(self, scenario: Scenario) -> Result:
        """Plays it and returns what everybody got."""
        registered = [await self._register(client) for client in scenario.clients]
        steps: list[Result] = []
        for number, step in enumerate(scenario.steps):
            self._step = number
            steps.append(await self._play(step))
            await self._take_completions()
            await self._take_notifications()
        return {
            "name": scenario.name,
            "register": registered,
            "steps": steps,
            "completions": self._completions,
            "published": self._published,
        }

    async def leave(self) -> None:
        """Breaks off the polls that wait still."""
        for waiting in self._waiting:
            waiting.answer.cancel()
        await asyncio.gather(*(waiting.answer for waiting in self._waiting), return_exceptions=True)

    async def _play(self, step: Step) -> Result:
        with checked_arguments(self._step, step.kind):
            return await HTTP_STEPS[step.kind](self, step.arguments)

    # Steps.

    async def _register(self, arguments: dict[str, Any]) -> Result:
        try:
            user_id, _ = user_and_realm(arguments)
        except WireError as error:
            return refusal(error)
        headers = {**self._accounts.headers(user_id), "User-Agent": user_agent(arguments)}
        answer = await self._ask("POST", "/api/v1/register", headers=headers, form=parameters(arguments))
        result = self._result(answer)
        if "error" not in result:
            name = f"q{len(self._owners)}"
            self._owners[name] = user_id
            self._ids[name] = result["queue_id"]
            result = {"events": [], "queue_id": name}
        return result

    async def _notify(self, arguments: dict[str, Any]) -> Result:
        event = arguments.get("event")
        if isinstance(event, dict):
            real = {key: self._id(event[key]) for key in ("queue_id", "sender_queue_id") if key in event}
            arguments = {**arguments, "event": {**event, **real}}
        body = json.dumps(arguments).encode()
        answer = await self._ask(
            "POST", "/api/internal/notices", headers=self._server.secret_headers, body=body
        )
        result = self._result(answer)
        return result if "error" in result else {}

    async def _poll(self, arguments: dict[str, Any]) -> Result:
        name, user_id = asked(arguments, self._owners)
        block = bool(arguments.get("block", False))
        query = {"queue_id": self._id(name), "dont_block": not block}
        if arguments.get("last_event_id") is not None:
            query["last_event_id"] = int(arguments["last_event_id"])
        headers = self._accounts.headers(user_id)
        before = self._waiter(name)
        answer = asyncio.create_task(self._ask("GET", "/api/v1/events", headers=headers, query=query))
        if block:
            await until(lambda: answer.done() or self._waiter(name) not in {None, before})
        if answer.done() or not block:
            return self._events(await answer)
        self._waiting.append(_Waiting(name, self._waiter(name), answer))
        return {"pending": True}

    async def _disconnect(self, arguments: dict[str, Any]) -> Result:
        name, _ = asked(arguments, self._owners)
        gone = next((waiting for waiting in self._waiting if waiting.name == name), None)
        if gone is not None:
            self._waiting.remove(gone)
            gone.answer.cancel()
            await until(lambda: not self._is_parked(gone))
        return {}

    async def _cleanup(self, arguments: dict[str, Any]) -> Result:
        name, user_id = asked(arguments, self._owners)
        answer = await self._ask(
            "DELETE",
            "/api/v1/events",
            headers=self._accounts.headers(user_id),
            query={"queue_id": self._id(name)},
        )
        result = self._result(answer)
        return result if "error" in result else {}

    async def _web_reload(self, arguments: dict[str, Any]) -> Result:
        form = {"immediate": bool(arguments.get("immediate", False))}
        if arguments.get("count") is not None:
            form["client_count"] = arguments["count"]
        answer = await self._ask(
            "POST", "/api/internal/web_reload_clients", headers=self._server.secret_headers, form=form
        )
        result = self._result(answer)
        return result if "error" in result else {"sent": result["sent_events"]}

    # What comes of them.

    async def _take_completions(self) -> None:
        """The answers to polls that waited."""
        await until(lambda: not self._server.is_answering)
        for waiting in [waiting for waiting in self._waiting if not self._is_parked(waiting)]:
            self._waiting.remove(waiting)
            events = self._events(await waiting.answer)
            self._completions.append({"step": self._step, "queue_id": waiting.name, **events})

    async def _take_notifications(self) -> None:
        """Reads and acknowledges what the step put in the outbox, as a worker does."""
        for queue in self._outbox:
            path = f"/api/internal/outbox/{queue}"
            headers = self._server.secret_headers
            while records := await self._records(path):
                self._published += [
                    {"step": self._step, "queue": queue, "notice": record["record"]} for record in records
                ]
                await self._ask("DELETE", path, headers=headers, query={"through": records[-1]["position"]})

    async def _records(self, path: str) -> list[dict[str, Any]]:
        answer = await self._ask(
            "GET", path, headers=self._server.secret_headers, query={"limit": MOST_RECORDS}
        )
        records: list[dict[str, Any]] = self._result(answer)["records"]
        return records

    def _is_parked(self, waiting: _Waiting) -> bool:
        return self._waiter(waiting.name) is waiting.waiter

    def _waiter(self, name: str) -> object:
        return self._server.waiter(self._id(name))

    # Around requests.

    async def _ask(self, method: str, path: str, **request: Any) -> Answer:
        return await ask(self._server.port, request_bytes(method, path, **request))

    def _id(self, name: Any) -> Any:
        """The real id of one of the scenario's queues; anything else as it is."""
        return self._ids.get(name, name) if isinstance(name, str) else name

    def _result(self, answer: Answer) -> Result:
        """The answer with the scenario's names of queues, or an error as results have it."""
        text = answer.body
        for name, queue_id in self._ids.items():
            text = text.replace(queue_id.encode(), name.encode())
        decoded: Result = json.loads(text)
        if answer.status == OK:
            return decoded
        kept = {key: decoded[key] for key in ("code", "msg", "queue_id") if key in decoded}
        return {"error": {**kept, "http_status": answer.status}}

    def _events(self, answer: Answer) -> Result:
        result = self._result(answer)
        return result if "error" in result else {"events": result["events"]}


HTTP_STEPS: Mapping[str, Callable[[HttpPlay, dict[str, Any]], Awaitable[Result]]] = MappingProxyType(
    {
        "register": HttpPlay._register,  # noqa: SLF001 - the table belongs to the class
        "notify": HttpPlay._notify,  # noqa: SLF001 - the same
        "poll": HttpPlay._poll,  # noqa: SLF001 - the same
        "disconnect": HttpPlay._disconnect,  # noqa: SLF001 - the same
        "cleanup": HttpPlay._cleanup,  # noqa: SLF001 - the same
        "web_reload": HttpPlay._web_reload,  # noqa: SLF001 - the same
    }
)


NEEDS_MORE: Mapping[str, str] = MappingProxyType(
    {
        "advance": "a clock that can be moved",
        "gc": "a clock that can be moved",
        "dump_and_load": "a restart",
        "load": "a server that begins with a dump",
        "restart_events": "a restart",
    }
)
"""Steps that only the engine can play, and what they need."""
