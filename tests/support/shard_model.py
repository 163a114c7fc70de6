"""What the shard machine believes: every event ever accepted, every client, and what each client processed.

Deliberately naive: nothing is merged, pruned, indexed or shared. A thing that was journalled is kept with the
position of its record, so that a lost tail of the journal can be taken back.
"""

import copy
import json
from dataclasses import dataclass, field

from support.core_rig import Poll
from support.events import Json, is_beginning, runs_of_changes, state_of_flags
from tidewire.core.descriptor import QueueSpec

MESSAGES = tuple(range(1, 6))
"""All messages there are; a change of all messages changes these."""

FOREVER = 10**9


@dataclass
class Accepted:
    """An event that a queue accepted, and the record that says so."""

    event: Json
    position: int


@dataclass(repr=False)
class Client:
    """A queue and the client that reads it."""

    queue_id: str
    spec: QueueSpec
    made: int
    active: float
    ended: int = FOREVER
    accepted: list[Accepted] = field(default_factory=list)
    processed: int = -1
    seen: list[Json] = field(default_factory=list)
    waiting: Poll | None = None
    blocks: bool = False
    parked: bool = False
    parked_at: float = 0.0
    unread: Poll | None = None
    given: set[int] = field(default_factory=set)

    def __repr__(self) -> str:
        return f"Client({self.queue_id}, processed={self.processed})"

    @property
    def alive(self) -> bool:
        """Whether the queue is there."""
        return self.ended == FOREVER

    def accepts(self, event: Json) -> bool:
        """Section 3, as far as the machine uses it."""
        kind = event["type"]
        if self.spec.event_types is not None and kind not in self.spec.event_types:
            return False
        if kind == "typing" and "stream_id" in event:
            return self.spec.capabilities.stream_typing_notifications
        return True

    def process(self, events: list[Json]) -> None:
        """Processes events of an answer, in order; those with a known id are dropped (R1.20)."""
        ids = [event["id"] for event in events]
        assert ids == sorted(set(ids))
        for event in events:
            if event["id"] > self.processed:
                self.processed = event["id"]
                if event["type"] != "heartbeat":
                    self.seen.append({key: value for key, value in event.items() if key != "id"})
        self.check_order()

    def check_order(self) -> None:
        """What was processed is a beginning of what was accepted: nothing lost, doubled, or out of order."""
        plain = [event for event in self.seen if event["type"] != "update_message_flags"]
        wanted = [event for event in self.wanted() if event["type"] != "update_message_flags"]
        assert plain == wanted[: len(plain)]
        for flag in {event["flag"] for event in self.seen if event["type"] == "update_message_flags"}:
            assert is_beginning(runs_of_changes(self.seen, flag), runs_of_changes(self.wanted(), flag))

    def check_complete(self) -> None:
        """All that was accepted was processed."""
        self.check_order()
        plain = [event for event in self.seen if event["type"] != "update_message_flags"]
        assert plain == [event for event in self.wanted() if event["type"] != "update_message_flags"]
        assert state_of_flags(self.seen, MESSAGES) == state_of_flags(self.wanted(), MESSAGES)

    def wanted(self) -> list[Json]:
        """Every event accepted so far."""
        return [accepted.event for accepted in self.accepted]


class Model:
    """All clients, and the notice ids that were taken."""

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {}
        self.known: dict[str, tuple[bytes, int]] = {}

    def live(self) -> list[Client]:
        """Clients whose queue is there."""
        return [client for client in self.clients.values() if client.alive]

    def publish(self, parsed: Json, position: int) -> None:
        """Gives an event to each queue of each user that accepts it."""
        event = parsed["event"]
        if event["type"] == "cleanup_queue":
            client = self.clients.get(event["queue_id"])
            if client is not None and client.alive and client.spec.user_id in parsed["users"]:
                client.ended = position
            return
        for client in self.live():
            named = client.spec.user_id in parsed["users"]
            realm = parsed.get("realm_id", client.spec.realm_id)
            if named and realm == client.spec.realm_id and client.accepts(event):
                kept = {key: value for key, value in copy.deepcopy(event).items() if key != "id"}
                client.accepted.append(Accepted(kept, position))

    def fresh(self, batch: list[Json]) -> list[Json] | None:
        """The notices of a batch that are new, or None when an id stands for two things."""
        fresh: list[Json] = []
        within: dict[str, bytes] = {}
        for parsed in batch:
            notice_id = parsed.get("id")
            content = json.dumps([parsed["event"], parsed["users"], parsed.get("realm_id")]).encode()
            known = self.known[notice_id][0] if notice_id in self.known else within.get(str(notice_id))
            if notice_id is None or known is None:
                fresh.append(parsed)
                within[str(notice_id)] = content
            elif known != content:
                return None
        return fresh

    def remember(self, fresh: list[Json], position: int) -> None:
        """Keeps the ids of notices that were taken."""
        for parsed in fresh:
            if "id" in parsed:
                content = json.dumps([parsed["event"], parsed["users"], parsed.get("realm_id")]).encode()
                self.known[parsed["id"]] = (content, position)

    def take_back(self, durable: int) -> None:
        """Forgets what records behind a position said."""
        self.clients = {key: client for key, client in self.clients.items() if client.made <= durable}
        self.known = {key: value for key, value in self.known.items() if value[1] <= durable}
        for client in self.clients.values():
            client.accepted = [accepted for accepted in client.accepted if accepted.position <= durable]
            if client.ended > durable:
                client.ended = FOREVER
