"""The page of the capabilities, made from their table: `make reference` writes it."""

from tidewire.core.events.capabilities import (
    CAPABILITY_NAMES,
    CHANGES,
    DESCRIPTIONS,
    NOT_DECLARED,
    TOP_LEVEL,
    Capabilities,
)

INTRODUCTION = """\
# Capabilities

<!-- Made by `make reference`; change the table in `src/tidewire/core/events/capabilities.py` instead. -->

A capability is something that a client says it can handle when it registers. It decides which events the client gets and
what they look like. [What clients receive](what-clients-receive.md) shows it by examples.

A client declares a capability in `client_capabilities`, a parameter of `register`: an object of booleans, which must also
have `notification_settings_null`. Members that are not listed here are ignored. Those marked *parameter* are parameters
of `register` of their own. `pronouns_field_type_supported` is not declared: it is false for the mobile app `ZulipMobile`
before 27.192, going by the User-Agent.

A default is what counts when nothing is declared. `register` has `client_gravatar` on by default.

| Capability | Declared | Default | Meaning | Event types it decides about |
| --- | --- | --- | --- | --- |
"""


def render() -> str:
    """The page."""
    return INTRODUCTION + "".join(_row(name) for name in CAPABILITY_NAMES)


def _row(name: str) -> str:
    default = "true" if getattr(Capabilities(), name) else "false"
    changes = ", ".join(f"`{kind}`" for kind in CHANGES[name]) or "none"
    return f"| `{name}` | {_declared(name)} | {default} | {DESCRIPTIONS[name]} | {changes} |\n"


def _declared(name: str) -> str:
    if name in NOT_DECLARED:
        return "by the User-Agent"
    return "parameter" if name in TOP_LEVEL else "`client_capabilities`"
