"""The parameters of a request, from its body, query string and headers, checked and typed."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect, Request

from tidewire.core.errors import BadRequest, MissingParameter, ParameterConflict, PayloadTooLarge
from tidewire.core.slices import finished
from tidewire.core.state.limits import Requested
from tidewire.http.forms import (
    MAX_FIELDS,
    MULTIPART,
    UNQUOTE_BYTES,
    URLENCODED,
    check_multipart,
    kind_of,
    read_multipart,
    read_urlencoded,
    text_of,
)
from tidewire.http.slice_scheduler import Turns

T = TypeVar("T")


MAX_INTEGER = 2**63 - 1
"""Integers are 64-bit everywhere they go."""


MAX_LIST_ITEMS = 1000
"""Of a list parameter or an object: event types and narrow terms are counted in tens."""


MAX_ITEM_LENGTH = 1000
"""Characters of a string in a list: types, names and topics have some tens, and a queue keeps them."""


MAX_COMMAS = 20_000
"""In one parameter. Each value but the first of its list or object comes behind one, so this bounds what decoding makes,
which takes some milliseconds for as many. A thousand terms have a tenth of them, and room for those in their texts."""


_DECODER = msgspec.json.Decoder()


class Parameters:
    """The parameters of one request, and which of them were asked for.

    A value is JSON text, except for plain strings. Whoever asks for a parameter gets it checked; a wrong one
    raises `BadRequest` with the parameter's name.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        # The client's name is understood everywhere (R6.11).
        self._known = {"client"}

    @property
    def given(self) -> Mapping[str, str]:
        """All of them, as they came."""
        return self._values

    def ignored(self) -> list[str]:
        """Names that nobody asked for, sorted (R6.11)."""
        return sorted(self._values.keys() - self._known)

    def text(self, name: str, *, max_length: int | None = None) -> str | None:
        """A plain string."""
        self._known.add(name)
        value = self._values.get(name)
        if value is not None and max_length is not None and len(value) > max_length:
            raise BadRequest(f"{name} is too long (limit: {max_length} characters)")
        return value

    def required_text(self, name: str) -> str:
        """A plain string that must be there."""
        value = self.text(name)
        if value is None:
            raise MissingParameter(name)
        return value

    def boolean(self, name: str, *, default: bool) -> bool:
        """`true` or `false`."""
        return self._json(name, as_boolean, default)

    def optional_boolean(self, name: str) -> bool | None:
        """`true`, `false`, or `null` (R6.51)."""
        return self._json(
            name, lambda value, where: None if value is None else as_boolean(value, where), None
        )

    def integer(self, name: str, *, minimum: int = -MAX_INTEGER - 1) -> int | None:
        """An integer of 64 bits."""
        return self._json(name, lambda value, where: as_integer(value, where, minimum), None)

    def required_integer(self, name: str, *, minimum: int = -MAX_INTEGER - 1) -> int:
        """An integer that must be there."""
        value = self.integer(name, minimum=minimum)
        if value is None:
            raise MissingParameter(name)
        return value

    def strings(self, name: str) -> tuple[str, ...] | None:
        """A list of strings; `null` counts as absent (R6.51)."""
        return self._json(name, as_strings, None)

    def narrow(self, name: str) -> tuple[tuple[str, str], ...]:
        """A list of two-string lists (R12.1)."""
        return self._json(name, as_narrow, ())

    def booleans(self, name: str) -> dict[str, bool] | None:
        """An object of booleans."""
        return self._json(name, as_booleans, None)

    def literal(self, name: str, options: Sequence[object]) -> object:
        """One of a few values; a word may stand bare (R6.9). None when absent."""
        if self._peek(name) in options:
            return self._values[name]
        return self._json(name, lambda value, where: as_literal(value, where, options), None)

    def idle_timeout(self, *names: str) -> Requested:
        """Seconds, or the word `mobile`, under whichever of its names (R6.31, D11)."""
        given = [name for name in names if self._peek(name) is not None]
        if len(given) > 1:
            raise ParameterConflict(given[0], given[1])
        if not given:
            return None
        # Clients that send plain strings bare send this one bare too.
        if self._values[given[0]] == "mobile":
            return "mobile"
        return self._json(given[0], as_idle_timeout, None)

    def _peek(self, name: str) -> str | None:
        self._known.add(name)
        return self._values.get(name)

    def _json(self, name: str, check: Callable[[Any, str], T], default: T) -> T:
        text = self._peek(name)
        if text is None:
            return default
        if text.count(",") > MAX_COMMAS:
            raise BadRequest(f"{name} is too long (limit: {MAX_LIST_ITEMS} items)")
        try:
            value = _DECODER.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            raise BadRequest(f"{name} is not valid JSON") from None
        return check(value, name)


def as_literal(value: object, where: str, options: Sequence[object]) -> object:
    """The value, if it is one of the options."""
    if not any(value == option and type(value) is type(option) for option in options):
        raise BadRequest(f"Invalid {where}")
    return value


def as_boolean(value: object, where: str) -> bool:
    """The value, if it is a boolean."""
    if not isinstance(value, bool):
        raise BadRequest(f"{where} is not a boolean")
    return value


def as_integer(value: object, where: str, minimum: int) -> int:
    """The value, if it is an integer from `minimum` up that fits 64 bits."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadRequest(f"{where} is not an integer")
    if value < minimum:
        raise BadRequest(f"{where} is too small")
    if value > MAX_INTEGER:
        raise BadRequest(f"{where} is too large")
    return value


def as_string(value: object, where: str) -> str:
    """The value, if it is a string."""
    if not isinstance(value, str):
        raise BadRequest(f"{where} is not a string")
    return value


def as_item(value: object, where: str) -> str:
    """The value, if it is a string of reasonable length."""
    text = as_string(value, where)
    if len(text) > MAX_ITEM_LENGTH:
        raise BadRequest(f"{where} is too long (limit: {MAX_ITEM_LENGTH} characters)")
    return text


def as_list(value: object, where: str) -> list[Any]:
    """The value, if it is a list of reasonable length."""
    if not isinstance(value, list):
        raise BadRequest(f"{where} is not a list")
    if len(value) > MAX_LIST_ITEMS:
        raise BadRequest(f"{where} is too long (limit: {MAX_LIST_ITEMS} items)")
    return value


def as_strings(value: object, where: str) -> tuple[str, ...] | None:
    """The value, if it is a list of strings or null."""
    if value is None:
        return None
    return tuple(_each(as_list(value, where), where, as_item))


def as_narrow(value: object, where: str) -> tuple[tuple[str, str], ...]:
    """The value, if it is a list of pairs of strings; null is the empty list."""
    return () if value is None else tuple(_each(as_list(value, where), where, _as_term))


def as_booleans(value: object, where: str) -> dict[str, bool] | None:
    """The value, if it is an object of booleans or null."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadRequest(f"{where} is not a dict")
    if len(value) > MAX_LIST_ITEMS:
        raise BadRequest(f"{where} is too long (limit: {MAX_LIST_ITEMS} items)")
    return {key: as_boolean(item, f'{where}["{key}"]') for key, item in value.items()}


def as_idle_timeout(value: object, where: str) -> Requested:
    """The value, if it is an integer from 0 up, `"mobile"`, or null."""
    if value is None or value == "mobile":
        return None if value is None else "mobile"
    return as_integer(value, where, 0)


def _as_term(value: object, where: str) -> tuple[str, str]:
    items = as_list(value, where)
    if len(items) != 2:  # noqa: PLR2004 - a term is a pair
        raise BadRequest(f"{where} should have exactly 2 items")
    operator, operand = _each(items, where, as_item)
    return (operator, operand)


def _each(items: Iterable[object], where: str, check: Callable[[object, str], T]) -> list[T]:
    return [check(item, f"{where}[{index}]") for index, item in enumerate(items)]


MAX_FORM_BYTES = 1024 * 1024
"""Of a form: parameters are short."""


SMALL_BYTES = 16 * 1024
"""Of a form that gives a few words."""


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body, as it came.

    Args:
        request: whose body nobody has read.
        max_bytes: how long it may be.

    Raises:
        PayloadTooLarge: it is longer, or says that it will be; no more of it is read.
        ClientDisconnect: the client went away in the middle of it.
    """
    too_large = PayloadTooLarge(f"The request body is larger than {max_bytes} bytes")
    if int(request.headers.get("content-length") or 0) > max_bytes:
        raise too_large
    chunks: list[bytes] = []
    left = max_bytes
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        left -= len(chunk)
        if left < 0:
            raise too_large
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


def query_parameters(request: Request) -> dict[str, str]:
    """The parameters of the query string; of a repeated one the last counts."""
    try:
        pairs = parse_qsl(
            request.scope["query_string"].decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        raise BadRequest("The query string is not UTF-8, or has too many parameters") from None
    return dict(pairs)


def has_form(request: Request) -> bool:
    """Whether the body is one that parameters are read from."""
    return kind_of(request.headers.get("content-type", "")) in {URLENCODED, MULTIPART}


async def form_fields(body: bytes, content_type: str, turns: Turns) -> dict[str, bytes]:
    """The fields of a form that was read, urlencoded or multipart; empty when it is something else.

    Raises:
        BadRequest: it can't be read.
    """
    kind = kind_of(content_type)
    if kind == URLENCODED:
        work = read_urlencoded(body)
        return finished(work) if len(body) <= UNQUOTE_BYTES else await turns.do(work)
    if kind == MULTIPART:
        return await read_multipart(body, content_type, turns)
    return {}


async def form_parameters(request: Request, turns: Turns, max_bytes: int = MAX_FORM_BYTES) -> dict[str, str]:
    """The parameters of a form; a body of another kind is not read, and gives none.

    Raises:
        BadRequest: it can't be read.
        PayloadTooLarge: it is larger than `max_bytes`.
    """
    if not has_form(request):
        return {}
    content_type = request.headers["content-type"]
    if kind_of(content_type) == MULTIPART:
        check_multipart(int(request.headers.get("content-length") or 0))
    fields = await form_fields(await read_body(request, max_bytes), content_type, turns)
    return {name: text_of(value) for name, value in fields.items()}


async def parameters_of(request: Request, turns: Turns) -> Parameters:
    """All parameters of an authenticated request; those of a form override those of the query string."""
    return Parameters(query_parameters(request) | await form_parameters(request, turns))


MAX_LENGTH = 30
"""Characters of a name, and of a version; longer ones are cut (R6.20)."""


_USER_AGENT = re.compile(r"(?P<name>[^/ ]*[^0-9/(]*)(/(?P<version>[^/ ]*))?")


_MAJOR_MINOR = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")


_PRONOUNS_SINCE = (27, 192)
"""Version of the mobile app from which on it knows pronoun fields (R6.23)."""


class UserAgent(NamedTuple):
    """What a User-Agent says; `version` only for the clients of the system we speak the protocol of."""

    name: str
    version: str | None


def parse_user_agent(header: str) -> UserAgent:
    """Splits a User-Agent into the client's name and version (R6.21)."""
    match = _USER_AGENT.match(header)
    name = match["name"].strip() if match else ""
    version = match["version"] if match else None
    return UserAgent(name or "Unspecified", version if name.startswith("Zulip") else None)


class Client(NamedTuple):
    """The program that asks, as far as it says so."""

    name: str
    version: str | None = None


UNKNOWN = Client("Unspecified")


UNPARSABLE = Client("Unparsable")


def client_of(parameter: str | None, user_agent: str | None, *, browser: bool = False) -> Client:
    """R6.20; a browser, which is whatever asks under `/json`, is the web site (R6.22).

    A `client` that is no line of text is none at all, wherever it would be shown.
    """
    agent = parse_user_agent(user_agent) if user_agent else UNKNOWN
    if parameter and not parameter.isprintable():
        return UNPARSABLE
    name = (parameter or agent.name)[:MAX_LENGTH]
    if browser and not name.startswith("Zulip"):
        name = "website"
    return Client(name, agent.version[:MAX_LENGTH] if agent.version and name == agent.name else None)


def knows_pronouns(user_agent: str | None) -> bool:
    """R6.23: false exactly for older versions of the mobile app."""
    agent = parse_user_agent(user_agent or "")
    if agent.name != "ZulipMobile" or not agent.version:
        return True
    numbers = _MAJOR_MINOR.match(agent.version)
    return numbers is None or (int(numbers[1]), int(numbers[2])) >= _PRONOUNS_SINCE
