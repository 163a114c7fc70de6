"""The client's name and version, from a parameter or the User-Agent (R6.20-R6.23)."""

import re
from typing import NamedTuple

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
    """R6.21."""
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
