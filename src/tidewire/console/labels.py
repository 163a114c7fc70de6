"""What the page says of rules and outcomes: a sentence for each name, and the rule's number where it has one.

Numbers such as R3.1 are those of the behaviour specification, which the source cites too.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Words(NamedTuple):
    """What a name means, and the rule that says so."""

    sentence: str
    rule: str = ""


REFUSALS: Mapping[str, Words] = MappingProxyType(
    {
        "event_types": Words("The client did not ask for this type of event.", "R3.1"),
        "superseded_by_user_topic": Words(
            "The client also asked for the newer form of the same news.", "R3.2"
        ),
        "narrow": Words("The message does not match the queue's narrow.", "R3.3"),
        "stream_typing_notifications": Words(
            "Typing in a channel, and the client lacks the capability for it.", "R3.4"
        ),
        "user_settings_object": Words(
            "An older form of a settings event; the client understands the newer one.", "R3.5"
        ),
        "include_deactivated_groups": Words(
            "This form of a group's deactivation is for other kinds of clients.", "R3.6, R3.7"
        ),
        "archived_channels": Words("A channel was archived, and the client lacks the capability.", "R3.8"),
        "mirror_loop": Words("A bridge's own message does not go back to the bridge.", "R4.10.7"),
        "inaccessible_user": Words(
            "A placeholder for a user whom the recipient can't see; the client copes without.", "R4.36"
        ),
        "deactivated": Words("A deactivated group changed, which the client does not see.", "R4.41"),
        "for_reactivation": Words("A group is back that the client saw all the time.", "R4.42"),
        "for_archiving": Words("A channel was archived; the client gets that as an update instead.", "R4.47"),
        "for_unarchiving": Words("A channel is back; the client gets that as an update instead.", "R4.47"),
        "presence_without_user_id": Words("The notice does not say whose presence it is.", "R4.32"),
        "presence_form": Words("The notice lacks the form of presence that the client reads.", "R4.29"),
    }
)
"""Why an event is not put in a queue."""

STEPS: Mapping[str, Words] = MappingProxyType(
    {
        "registered": Words("The client registered this queue.", "R2.1"),
        "recovered": Words("The server came back and brought the queue with it.", "R9.14"),
        "imported": Words("The queue came from a dump.", "R10.2"),
        "offline": Words("Its owner began to count as gone.", "R2.23"),
        "held": Words("It is in the queue.", "R1.4"),
        "acknowledged": Words("The client acknowledged it.", "R1.18"),
        "merged": Words("It was merged with others that say the same.", "R1.15"),
        "dropped": Words("The queue ended before the client acknowledged it."),
        "refused": Words("It was not put in the queue."),
    }
)
"""What happened, by the name of the step (`core/history/history.py`)."""

STATES: Mapping[str, Words] = MappingProxyType(
    {
        "waiting": Words("Not sent yet: the client has not polled since.", "R1.4"),
        "sent": Words("Sent, and not acknowledged: it is sent again until it is.", "R1.20"),
        "mergeable": Words("Not sent yet: it may still be merged with the next of its kind.", "R1.15"),
    }
)
"""What an event that is in a queue waits for."""

OUTCOMES: Mapping[str, Words] = MappingProxyType(
    {
        "queued": Words("Would be put in the queue."),
        "refused": Words("Would not be put in the queue."),
        "failed": Words("Delivering it would fail; the other queues would get it."),
        "other_realm": Words("The notice is for another realm."),
        "ended": Words("The queue would end."),
    }
)
"""What a notice would do to a queue (`core/inspection/dry_run.py`)."""

REASONS: Mapping[str, Words] = MappingProxyType(
    {
        "damaged": Words("The server came back from a damaged disk, and an event of it may be lost."),
        "deleted": Words("Its client, or the application, deleted it.", "R2.26"),
        "expired": Words("Nobody polled it for its idle timeout.", "R2.22"),
        "limit": Words("Its owner registered another and had the most that a user may have."),
        "memory": Words("All queues together took more than the memory budget."),
        "overflow": Words("It held more than a queue may."),
        "revoked": Words("Its owner lost the right to it."),
        "upgraded": Words("The server crashed and came back with other rules for queues."),
    }
)
"""Why a queue ended."""

ALL: Mapping[str, Mapping[str, Words]] = MappingProxyType(
    {
        "refusals": REFUSALS,
        "steps": STEPS,
        "states": STATES,
        "outcomes": OUTCOMES,
        "reasons": REASONS,
    }
)
