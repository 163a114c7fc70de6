"""An application with state of its own, of which providers tell: things that come and go."""

import asyncio
from collections.abc import Iterable
from typing import Any

from tidewire.initial_state import Asked, Event, Provider, State


def apply_thing(state: State, event: Event) -> None:
    """What an event of the type `thing` does to the list of things; a second time it does nothing."""
    things = set(state["things"])
    if event["op"] == "add":
        things.add(event["name"])
    else:
        things.discard(event["name"])
    state["things"] = sorted(things)


class Things:
    """The application's state; reading it can be stopped half-way."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = set(names)
        self.reading = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.asked: list[Asked] = []

    async def read(self, asked: Asked) -> State:
        """The things now, once it may go on."""
        self.asked.append(asked)
        self.reading.set()
        await self.go_on.wait()
        return {"things": sorted(self.names)}

    def hold(self) -> None:
        """Stops the next reading until `go_on` is set."""
        self.reading.clear()
        self.go_on.clear()

    def change(self, op: str, name: str) -> dict[str, Any]:
        """Changes the state, and gives the event that says so."""
        if op == "add":
            self.names.add(name)
        else:
            self.names.discard(name)
        return {"type": "thing", "op": op, "name": name}

    def provider(self) -> Provider:
        """What the server is told of it."""
        return Provider(
            fetch_type="things", event_types=frozenset({"thing"}), read=self.read, apply=apply_thing
        )
