"""Shape: the part of a registration that decides the bytes of an event (D1)."""

from tidewire.core.events.capabilities import Capabilities

MIRROR = "mirror"
"""Clients with this word in their name bridge another network; messages have rules of their own for them (R4.10)."""


class Shape:
    """What decides an event's bytes: interned, so that equal shapes are the same object."""

    __slots__ = ("capabilities", "client_class")

    def __init__(self, capabilities: Capabilities, client_class: str) -> None:
        self.capabilities = capabilities
        self.client_class = client_class

    def __repr__(self) -> str:
        return f"Shape({self.capabilities!r}, client_class={self.client_class!r})"


def client_class(client_type_name: str) -> str:
    """The part of a client's name that matters to shaping: mirrors keep it, all others are alike.

    It stays as it is written: of two rules for mirrors, one tells capital letters apart and one doesn't.
    """
    return client_type_name if MIRROR in client_type_name.lower() else ""
