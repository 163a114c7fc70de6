"""Where notices come from, and where notifications go: embedded in the server, or RabbitMQ (D6)."""

from tidewire.bus.embedded import Bus, Embedded

__all__ = ["Bus", "Embedded"]
