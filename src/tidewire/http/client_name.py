"""The client's name and version, from a parameter or the User-Agent (R6.20-R6.23)."""

import re
from typing import NamedTuple

MAX_LENGTH = 30
"""Characters of a name; longer ones are cut (R6.20)."""

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


def client_name(parameter: str | None, user_agent: str | None) -> str:
    """R6.20."""
    name = parameter or (parse_user_agent(user_agent).name if user_agent else "Unspecified")
    return name[:MAX_LENGTH]


def knows_pronouns(user_agent: str | None) -> bool:
    """R6.23: false exactly for older versions of the mobile app."""
    agent = parse_user_agent(user_agent or "")
    if agent.name != "ZulipMobile" or not agent.version:
        return True
    numbers = _MAJOR_MINOR.match(agent.version)
    return numbers is None or (int(numbers[1]), int(numbers[2])) >= _PRONOUNS_SINCE
