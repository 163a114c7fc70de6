"""The state of the dashboard, and the event that tells of each change."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from tidewire.state import Apply, keyed

APPLY: Mapping[str, Apply] = MappingProxyType(
    {"deployments": keyed("deployments", event_type="deployment", item="deployment", key="number")}
)
"""How an event changes the state; `page.html` has the same rule."""


class Publishes(Protocol):
    """An `AsyncPublisher`, or what stands for it in a test."""

    async def send_event(self, *, event: Mapping[str, Any], users: Sequence[int]) -> None:
        """Returns once the event is confirmed."""


class Deployments:
    """A table of deployments, which `viewers` watch."""

    def __init__(self, publisher: Publishes, viewers: Sequence[int]) -> None:
        self._publisher = publisher
        self._viewers = viewers
        self._table: dict[str, dict[str, Any]] = {}

    def read(self) -> dict[str, Any]:
        """The whole state, for a page that has just registered."""
        return {"deployments": self._table}

    async def put(self, number: int, state: str) -> None:
        """Changes a deployment, then tells of it: who registers in between reads the change."""
        deployment = {"number": number, "state": state}
        self._table[str(number)] = deployment
        await self._publisher.send_event(
            event={"type": "deployment", "deployment": deployment}, users=self._viewers
        )
