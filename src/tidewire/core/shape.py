"""Shape: the part of a registration that decides the bytes of an event (D1)."""

from tidewire.core.capabilities import Capabilities

MIRROR = "mirror"
"""Clients with this word in their name bridge another network and are shaped by rules of their own (R4.10)."""


class Shape:
    """What decides an event's bytes: interned, so that equal shapes are the same object."""

    __slots__ = ("capabilities", "client_class")

    def __init__(self, capabilities: Capabilities, client_class: str) -> None:
        self.capabilities = capabilities
        self.client_class = client_class

    def __repr__(self) -> str:
        return f"Shape({self.capabilities!r}, client_class={self.client_class!r})"


def client_class(client_type_name: str) -> str:
    """The part of a client's name that matters to shaping: mirrors keep it, all others are alike."""
    name = client_type_name.lower()
    return name if MIRROR in name else ""
