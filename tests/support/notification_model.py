"""What the shard machine believes about notifications: who is told of what, and what waits for the workers.

As naive as the rest of the model: nothing is stored that can be worked out again from the list of all that
ever happened. It knows direct messages, mentions and the two lists of a channel; the whole table of triggers
has tests of its own.
"""

from collections import Counter
from dataclasses import dataclass

from support.events import Json

MOBILE = "missedmessage_mobile_notifications"
EMAIL = "missedmessage_emails"


@dataclass(frozen=True)
class Wish:
    """How a user would be told of a message if they were gone: a trigger for each queue."""

    message_id: int
    push: str | None
    email: str | None

    def triggers(self) -> list[tuple[str, str | None]]:
        """Queue and trigger."""
        return [(MOBILE, self.push), (EMAIL, self.email)]


def wish_of(event: Json, user: Json) -> Wish | None:
    """What a message, or an edit that mentions, is to one of its users."""
    message = event.get("message_dict", {})
    user_id = user["id"]
    push = "stream_push_notify" if user_id in event.get("stream_push_user_ids", []) else None
    email = "stream_email_notify" if user_id in event.get("stream_email_user_ids", []) else None
    if event["type"] == "update_message" and (push or email or user_id in event["prior_mention_user_ids"]):
        return None
    if "mentioned" in user["flags"]:
        push = email = "mentioned"
    if message.get("type") == "private":
        push = email = "direct_message"
    if user_id in (message.get("sender_id"), event.get("user_id")) or not (push or email):
        return None
    return Wish(message.get("id") or event["message_id"], push, email)


@dataclass(frozen=True)
class Step:
    """A record that was added to a queue, or without one an acknowledgement; at a position of the journal."""

    position: int
    queue: str
    record: Json | None = None
    through: int = 0
    by_edit: bool = False


class OutboxModel:
    """All that ever happened to the outbox."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.most = 0

    def tell(self, user_id: int, wish: Wish, position: int, *, queues: list[str], by_edit: bool) -> None:
        """Adds the records of one decision."""
        for queue, trigger in wish.triggers():
            if trigger is not None and queue in queues:
                record = {
                    "user_profile_id": user_id,
                    "message_id": wish.message_id,
                    "trigger": trigger,
                    "mentioned_user_group_id": None,
                }
                if queue == MOBILE:
                    record["type"] = "add"
                self.steps.append(Step(position, queue, record, by_edit=by_edit))

    def untold(self, user_id: int, wish: Wish) -> list[str]:
        """The queues that have never been given this message for this user, edits aside (R5.27)."""
        told = {
            step.queue
            for step in self.steps
            if step.record is not None
            and not step.by_edit
            and (step.record["user_profile_id"], step.record["message_id"]) == (user_id, wish.message_id)
        }
        return [queue for queue in (MOBILE, EMAIL) if queue not in told]

    def take_back(self, durable: int) -> None:
        """Forgets what records behind a position said."""
        self.steps = [step for step in self.steps if step.position <= durable]

    def contents(self) -> dict[str, tuple[list[tuple[int, Json]], int]]:
        """What waits in each queue, with positions, and how many records it has lost."""
        held: list[tuple[str, int, Json]] = []
        newest: Counter[str] = Counter()
        lost: Counter[str] = Counter()
        for step in self.steps:
            if step.record is None:
                held = [each for each in held if each[0] != step.queue or each[1] > step.through]
                continue
            newest[step.queue] += 1
            held.append((step.queue, newest[step.queue], step.record))
            while self.most and len(held) > self.most:
                lost[held.pop(0)[0]] += 1
        return {
            queue: ([(place, record) for name, place, record in held if name == queue], lost[queue])
            for queue in (MOBILE, EMAIL)
        }
