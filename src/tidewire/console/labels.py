"""What the page says of rules and outcomes: a sentence for each name, and the rule's number where it has one.

Numbers such as R3.1 are those of `docs/reference/behaviour.md`, which the source cites too.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Label(NamedTuple):
    """What a name means, and the rule that says so."""

    sentence: str
    rule: str = ""


REFUSALS: Mapping[str, Label] = MappingProxyType(
    {
        "event_types": Label("The client did not ask for this type of event.", "R3.1"),
        "superseded_by_user_topic": Label(
            "The client also asked for the newer form of the same news.", "R3.2"
        ),
        "narrow": Label("The message does not match the queue's narrow.", "R3.3"),
        "stream_typing_notifications": Label(
            "Typing in a channel, and the client lacks the capability for it.", "R3.4"
        ),
        "user_settings_object": Label(
            "An older form of a settings event; the client understands the newer one.", "R3.5"
        ),
        "include_deactivated_groups": Label(
            "This form of a group's deactivation is for other kinds of clients.", "R3.6, R3.7"
        ),
        "archived_channels": Label("A channel was archived, and the client lacks the capability.", "R3.8"),
        "mirror_loop": Label("A bridge's own message does not go back to the bridge.", "R4.10.7"),
        "inaccessible_user": Label(
            "A placeholder for a user whom the recipient can't see; the client copes without.", "R4.36"
        ),
        "deactivated": Label("A deactivated group changed, which the client does not see.", "R4.41"),
        "for_reactivation": Label("A group is back that the client saw all the time.", "R4.42"),
        "for_archiving": Label("A channel was archived; the client gets that as an update instead.", "R4.47"),
        "for_unarchiving": Label("A channel is back; the client gets that as an update instead.", "R4.47"),
        "presence_without_user_id": Label("The notice does not say whose presence it is.", "R4.32"),
        "presence_form": Label("The notice lacks the form of presence that the client reads.", "R4.29"),
    }
)
"""Why an event is not put in a queue."""

STEPS: Mapping[str, Label] = MappingProxyType(
    {
        "registered": Label("The client registered this queue.", "R2.1"),
        "recovered": Label("The server came back and brought the queue with it.", "R9.14"),
        "imported": Label("The queue came from a dump.", "R10.2"),
        "offline": Label("Its owner began to count as gone.", "R2.23"),
        "held": Label("It is in the queue.", "R1.4"),
        "acknowledged": Label("The client acknowledged it.", "R1.18"),
        "merged": Label("It was merged with others that say the same.", "R1.15"),
        "dropped": Label("The queue ended before the client acknowledged it."),
        "refused": Label("It was not put in the queue."),
    }
)
"""What happened, by the name of the step (`core/history/history.py`)."""

STATES: Mapping[str, Label] = MappingProxyType(
    {
        "waiting": Label("Not sent yet: the client has not polled since.", "R1.4"),
        "sent": Label("Sent, and not acknowledged: it is sent again until it is.", "R1.20"),
        "mergeable": Label("Not sent yet: it may still be merged with the next of its kind.", "R1.15"),
    }
)
"""What an event that is in a queue waits for."""

OUTCOMES: Mapping[str, Label] = MappingProxyType(
    {
        "queued": Label("Would be put in the queue."),
        "refused": Label("Would not be put in the queue."),
        "failed": Label("Delivering it would fail; the other queues would get it."),
        "other_realm": Label("The notice is for another realm."),
        "ended": Label("The queue would end."),
    }
)
"""What a notice would do to a queue (`core/inspection/dry_run.py`)."""

REASONS: Mapping[str, Label] = MappingProxyType(
    {
        "damaged": Label("The server came back from a damaged disk, and an event of it may be lost."),
        "deleted": Label("Its client, or the application, deleted it.", "R2.26"),
        "expired": Label("Nobody polled it for its idle timeout.", "R2.22"),
        "limit": Label("Its owner registered another and had the most that a user may have."),
        "memory": Label("All queues together took more than the memory budget."),
        "overflow": Label("It held more than a queue may."),
        "revoked": Label("Its owner lost the right to it."),
        "upgraded": Label("The server crashed and came back with other rules for queues."),
    }
)
"""Why a queue ended."""

ALL: Mapping[str, Mapping[str, Label]] = MappingProxyType(
    {
        "refusals": REFUSALS,
        "steps": STEPS,
        "states": STATES,
        "outcomes": OUTCOMES,
        "reasons": REASONS,
    }
)
