"""The demo's routes beside the server's: what bots and clients send messages and reactions with."""

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from starlette.requests import Request

from tidewire.cli.demo.board import Board, Channel, Draft, Posted
from tidewire.cluster.awaitable import AwaitableWaiter
from tidewire.core.errors import BadRequest, MissingParameter, ParameterConflict
from tidewire.core.notices.notice import decode_notice
from tidewire.core.users import User
from tidewire.http import responses
from tidewire.http.app import Methods
from tidewire.http.authentication import authenticated
from tidewire.http.context import ServerContext
from tidewire.http.parameters import Parameters, parameters_of
from tidewire.http.request_info import noted_client
from tidewire.http.responses import Response

MAX_CONTENT = 10_000
MAX_TOPIC = 60
"""Characters, as clients expect them to be limited."""

EMOJI = MappingProxyType({"+1": "1f44d", "heart": "2764", "tada": "1f389", "wave": "1f44b"})
"""Codes of the emoji that may be given by name alone."""


class DemoRoutes:
    """The views, on one board."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def table(self) -> Mapping[str, Methods]:
        """Path and method to view."""
        return {
            "/api/v1/messages": {"POST": self.send_message},
            "/api/v1/messages/{message_id}/reactions": {"POST": self.add_reaction},
        }

    async def send_message(self, request: Request, context: ServerContext) -> Response:
        """`POST /api/v1/messages`: a message, direct or in a channel."""
        sender = await authenticated(request, context)
        parameters = await parameters_of(request, context.turns)
        kind = parameters.required_text("type")
        to = parameters.required_text("to")
        draft = _draft(parameters, sender, request)
        if kind in ("direct", "private"):
            parameters.text("topic")  # clients send an empty one along
            posted = self._board.send_direct(draft, self._people(to))
        elif kind in ("channel", "stream"):
            posted = self._board.send_to_channel(draft, self._channel(to), _topic(parameters))
        else:
            raise BadRequest("Invalid type: it is direct or channel")
        await _publish(posted, context)
        return responses.success({"id": posted.message_id}, ignored=parameters.ignored())

    async def add_reaction(self, request: Request, context: ServerContext) -> Response:
        """`POST /api/v1/messages/{message_id}/reactions`: an emoji on a message."""
        user = await authenticated(request, context)
        message_id = Parameters(request.path_params).required_integer("message_id")
        parameters = await parameters_of(request, context.turns)
        parameters.text("message_id")  # the Python client repeats it
        name = parameters.required_text("emoji_name")
        code = parameters.text("emoji_code") or EMOJI.get(name)
        if code is None:
            raise BadRequest(f"Emoji '{name}' does not exist")
        kind = parameters.text("reaction_type") or "unicode_emoji"
        emoji = {"emoji_name": name, "emoji_code": code, "reaction_type": kind}
        await _publish(self._board.react(user, message_id, emoji), context)
        return responses.success({}, ignored=parameters.ignored())

    def _people(self, to: str) -> list[User]:
        names = _listed(to)
        if not names:
            raise BadRequest("Message must have recipients")
        return [self._person(name) for name in names]

    def _person(self, name: object) -> User:
        for user in self._board.users:
            if _names(name, user.id, user.email):
                return user
        raise BadRequest(f"Invalid user ID {name}" if isinstance(name, int) else f"Invalid email '{name}'")

    def _channel(self, to: str) -> Channel:
        names = _listed(to)
        if len(names) != 1:
            raise BadRequest("Expected exactly one channel")
        for channel in self._board.channels.values():
            if _names(names[0], channel.id, channel.name):
                return channel
        raise BadRequest(f"Channel '{names[0]}' does not exist")


def _draft(parameters: Parameters, sender: User, request: Request) -> Draft:
    content = parameters.required_text("content")
    if not content.strip():
        raise BadRequest("Message must not be empty")
    if len(content) > MAX_CONTENT:
        raise BadRequest(f"content is too long (limit: {MAX_CONTENT} characters)")
    return Draft(
        sender=sender,
        content=content,
        client=noted_client(request, parameters).name,
        at=int(time.time()),
        queue_id=parameters.text("queue_id"),
        local_id=parameters.text("local_id"),
    )


def _topic(parameters: Parameters) -> str:
    """The topic, under its name or its older one."""
    given = {name: parameters.text(name, max_length=MAX_TOPIC) for name in ("topic", "subject")}
    topic, subject = given.values()
    if topic is not None and subject is not None:
        raise ParameterConflict(*given)
    if topic is None and subject is None:
        raise MissingParameter("topic")
    return topic or subject or ""


def _listed(to: str) -> list[Any]:
    """What `to` names: JSON, one thing or a list, or else a name as it stands."""
    try:
        value = msgspec.json.decode(to)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return [name.strip() for name in to.split(",")] if "@" in to else [to]
    return value if isinstance(value, list) else [value]


def _names(value: object, number: int, name: str) -> bool:
    """Whether a value from `to` means what has this id and name."""
    return value == name or (value == number and isinstance(value, int) and not isinstance(value, bool))


async def _publish(posted: Posted, context: ServerContext) -> None:
    context.lifecycle.check_serving()
    slot: AwaitableWaiter[int] = AwaitableWaiter()
    context.engine.publish([decode_notice(msgspec.json.encode(posted.notice))], slot)
    await slot.wait()
