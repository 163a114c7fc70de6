"""A scenario's registration as a client sends it to `register`."""

from typing import Any

from tidewire.core.capabilities import CAPABILITY_NAMES, NOT_DECLARED, TOP_LEVEL
from tidewire.replay.scenario import USUAL

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
