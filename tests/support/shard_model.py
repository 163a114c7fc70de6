"""What the shard machine believes: every event ever accepted, every client, and what each client processed.

Deliberately naive: nothing is merged, pruned, indexed or shared. A thing that was journalled is kept with the
position of its record, so that a lost tail of the journal can be taken back.
"""

import copy
import json
from dataclasses import dataclass, field

from support.core_rig import Poll
from support.events import Json, is_beginning, runs_of_changes, state_of_flags
from support.notification_model import EMAIL, MOBILE, OutboxModel, Wish, wish_of
from tidewire.core.queues.descriptor import QueueSpec

MESSAGES = tuple(range(1, 6))
"""All messages there are; a change of all messages changes these."""

FOREVER = 10**9


def without_id(event: Json) -> Json:
    """An event as it is compared: messages and edits are shaped, so only which one it is counts."""
    if event["type"] == "message":
        message = event["message_dict"] if "message_dict" in event else event["message"]
        return {"type": "message", "of": message["id"]}
    if event["type"] == "update_message":
        return {"type": "update_message", "of": event["message_id"]}
    return {key: value for key, value in event.items() if key != "id"}


@dataclass
class Accepted:
    """An event that a queue accepted under an id, the record that says so, and what its owner may miss."""

    event: Json
    position: int
    event_id: int
    wish: Wish | None = None


@dataclass(repr=False)
class Client:
    """A queue and the client that reads it.

    Attributes:
        pushed: the position in the journal of each event that the queue was given; its place is its id.
        acknowledged: the newest id that the server was told.
        ended: position of the record that ended the queue, for this `reason`.
    """

    queue_id: str
    spec: QueueSpec
    made: int
    active: float
    ended: int = FOREVER
    reason: str = ""
    accepted: list[Accepted] = field(default_factory=list)
    pushed: list[int] = field(default_factory=list)
    acknowledged: int = -1
    offline: bool = False
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

    @property
    def hears(self) -> bool:
        """Whether a message would reach its owner here (R5.12)."""
        types = self.spec.event_types
        return self.alive and not self.offline and (types is None or "message" in types)

    def process(self, events: list[Json]) -> None:
        """Processes events of an answer, in order; those with a known id are dropped (R1.20)."""
        ids = [event["id"] for event in events]
        assert ids == sorted(set(ids))
        for event in events:
            if event["id"] > self.processed:
                self.processed = event["id"]
                if event["type"] != "heartbeat":
                    self.seen.append(without_id(event))
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

    def unacknowledged(self) -> list[Accepted]:
        """What the server still keeps."""
        return [accepted for accepted in self.accepted if accepted.event_id > self.acknowledged]

    def wanted(self) -> list[Json]:
        """Every event accepted so far."""
        return [accepted.event for accepted in self.accepted]


def user_id_of(user: int | Json) -> int:
    """The id in a notice's list of users."""
    return user if isinstance(user, int) else int(user["id"])


class Model:
    """All clients, and the notice ids that were taken."""

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {}
        self.known: dict[str, tuple[bytes, int]] = {}
        self.outbox = OutboxModel()
        self.ends: list[tuple[int, str]] = []
        """Positions of records that ended queues, with the queues."""
        self.rights: list[tuple[int, int, bool]] = []
        """Positions of records that took rights from a user, or gave them back."""

    def end(self, client: Client, position: int, reason: str) -> None:
        """A queue ends."""
        assert client.alive
        client.ended, client.reason = position, reason
        self.ends.append((position, client.queue_id))

    def reason(self, client: Client, most: int) -> str:
        """Why a queue is gone, as its owner is told by a server that remembers so many."""
        remembered = [queue_id for _, queue_id in self.ends[-most:]]
        return client.reason if client.queue_id in remembered else "unknown"

    def is_revoked(self, user_id: int) -> bool:
        """Whether a user may have no queue."""
        return next((taken for _, user, taken in reversed(self.rights) if user == user_id), False)

    def live(self) -> list[Client]:
        """Clients whose queue is there."""
        return [client for client in self.clients.values() if client.alive]

    def publish(self, parsed: Json, position: int) -> None:
        """Gives an event to each queue of each user that accepts it."""
        event = parsed["event"]
        if event["type"] == "cleanup_queue":
            client = self.clients.get(event["queue_id"])
            if client is not None and client.alive and client.spec.user_id in parsed["users"]:
                self.leave([client], position)
                self.end(client, position, "deleted")
            return
        if event["type"] in ("revoke_user", "restore_user"):
            self._change_rights(event["user_id"], event["type"] == "revoke_user", position)
            return
        wishes = self._tell(parsed, position)
        for client in self.live():
            named = client.spec.user_id in [user_id_of(user) for user in parsed["users"]]
            realm = parsed.get("realm_id", client.spec.realm_id)
            if named and realm == client.spec.realm_id and client.accepts(event):
                wish = wishes.get(client.spec.user_id)
                client.accepted.append(
                    Accepted(without_id(copy.deepcopy(event)), position, len(client.pushed), wish)
                )
                client.pushed.append(position)

        if event["type"] == "realm_user":
            person = event["person"]
            self._change_rights(person["user_id"], not person["is_active"], position)

    def _change_rights(self, user_id: int, taken: bool, position: int) -> None:
        self.rights.append((position, user_id, taken))
        for client in self.of_user(user_id) if taken else []:
            self.end(client, position, "revoked")

    def _tell(self, parsed: Json, position: int) -> dict[int, Wish]:
        """Tells those who are gone of a message or an edit; what the others may miss of a message."""
        event = parsed["event"]
        wishes: dict[int, Wish] = {}
        if event["type"] not in ("message", "update_message"):
            return wishes
        by_edit = event["type"] == "update_message"
        once = {user["id"]: user for user in reversed(parsed["users"])}
        for user_id in dict.fromkeys(user["id"] for user in parsed["users"]):
            wish = wish_of(event, once[user_id])
            if wish is None or self.is_revoked(user_id):
                continue
            wishes[user_id] = wish
            gone = not any(client.hears for client in self.live() if client.spec.user_id == user_id)
            if gone or user_id in event["presence_idle_user_ids"]:
                self.outbox.tell(user_id, wish, position, queues=[MOBILE, EMAIL], by_edit=by_edit)
            elif user_id in event["online_push_user_ids"]:
                self.outbox.tell(user_id, wish, position, queues=[MOBILE], by_edit=by_edit)
        return {} if by_edit else wishes

    def leave(self, leaving: list[Client], position: int) -> None:
        """Queues end or go offline together: who is gone by that is told what they held (R5.30-R5.36)."""
        hearing = [client for client in leaving if client.hears]
        for user_id in dict.fromkeys(client.spec.user_id for client in hearing):
            own = [client for client in hearing if client.spec.user_id == user_id]
            if any(client.hears and client not in own for client in self.of_user(user_id)):
                continue
            for accepted in [accepted for client in own for accepted in client.unacknowledged()]:
                if accepted.wish is not None:
                    queues = self.outbox.untold(user_id, accepted.wish)
                    self.outbox.tell(user_id, accepted.wish, position, queues=queues, by_edit=False)

    def of_user(self, user_id: int) -> list[Client]:
        """The user's clients whose queue is there."""
        return [client for client in self.live() if client.spec.user_id == user_id]

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

    def remember(self, fresh: list[Json], positions: list[int]) -> None:
        """Keeps the ids of notices that were taken."""
        for parsed, position in zip(fresh, positions, strict=True):
            if "id" in parsed:
                content = json.dumps([parsed["event"], parsed["users"], parsed.get("realm_id")]).encode()
                self.known[parsed["id"]] = (content, position)

    def take_back(self, durable: int) -> None:
        """Forgets what records behind a position said."""
        self.clients = {key: client for key, client in self.clients.items() if client.made <= durable}
        self.known = {key: value for key, value in self.known.items() if value[1] <= durable}
        self.outbox.take_back(durable)
        self.ends = [end for end in self.ends if end[0] <= durable]
        self.rights = [change for change in self.rights if change[0] <= durable]
        for client in self.clients.values():
            client.accepted = [accepted for accepted in client.accepted if accepted.position <= durable]
            client.pushed = [position for position in client.pushed if position <= durable]
            if client.ended > durable:
                client.ended = FOREVER
