"""The metrics of notices, events, polls and notifications."""

from collections.abc import Mapping

from tidewire.core.notifications.facts import EMAIL_TRIGGERS, PUSH_TRIGGERS
from tidewire.core.processors import ALL_REFUSALS
from tidewire.metrics.table import Group, Kind, Labels, Metric, View

TYPE = "the event's type; `other` for types that neither the protocol nor a merge rule knows"


def _notices(view: View) -> Mapping[Labels, float]:
    statistics = view.sources.statistics
    outcomes = {
        "carried_out": statistics.notices - statistics.failed,
        "failed": statistics.failed,
        "repeated": statistics.repeats,
        "refused": statistics.refused_notices,
    }
    return {(kind, outcome): count for outcome, found in outcomes.items() for kind, count in found.items()}


def _notifications(view: View) -> Mapping[Labels, float]:
    statistics = view.sources.statistics
    return {
        **{("push", trigger): statistics.pushes[trigger] for _, trigger in PUSH_TRIGGERS},
        **{("email", trigger): statistics.emails[trigger] for _, trigger in EMAIL_TRIGGERS},
    }


NOTICES: Group = (
    "Notices and events",
    (
        Metric(
            "tidewire_notices_total",
            Kind.COUNTER,
            "Notices, by what became of them.",
            _notices,
            {
                "type": TYPE,
                "outcome": "`carried_out`, `failed` (a fault of the server's: not every queue got it), `repeated` (its id was "
                "known), `refused` (for it its request was refused)",
            },
        ),
        Metric(
            "tidewire_event_processing_seconds",
            Kind.HISTOGRAM,
            "Time to shape an event and put it into all queues, answers not included.",
            lambda view: {(kind,): histogram for kind, histogram in view.sources.event_times.by_kind.items()},
            {"type": TYPE},
        ),
        Metric(
            "tidewire_deliveries_total",
            Kind.COUNTER,
            "Events put into queues, heartbeats included.",
            lambda view: view.sources.statistics.delivered,
        ),
        Metric(
            "tidewire_bodies_encoded_total",
            Kind.COUNTER,
            "Distinct bodies that events were encoded to; deliveries divided by it say how widely one is shared.",
            lambda view: view.sources.statistics.encoded,
        ),
        Metric(
            "tidewire_refusals_total",
            Kind.COUNTER,
            "Events that a queue did not get, by the rule that refused.",
            lambda view: {(rule,): view.sources.statistics.refused[rule] for rule in ALL_REFUSALS},
            {"rule": "[why an event is not delivered](events.md#why-an-event-is-not-delivered)"},
        ),
        Metric(
            "tidewire_other_realm_total",
            Kind.COUNTER,
            "Queues passed over because the notice was for another realm.",
            lambda view: view.sources.statistics.foreign_realm,
        ),
        Metric(
            "tidewire_deliveries_failed_total",
            Kind.COUNTER,
            "Queues, or whole notices, in which delivery failed; the log names them.",
            lambda view: view.sources.statistics.broken,
        ),
        Metric(
            "tidewire_merge_rule_failures_total",
            Kind.COUNTER,
            "How often a merge rule failed; its events were delivered singly.",
            lambda view: {(kind,): count for kind, count in view.sources.statistics.rule_failures.items()},
            {"type": "the type that the rule is for"},
        ),
        Metric(
            "tidewire_turned_away_total",
            Kind.COUNTER,
            "Requests refused because a bound was reached.",
            lambda view: {
                (what,): view.sources.statistics.turned_away[what]
                for what in ("body", "import", "publish", "register")
            },
            {"request": "`publish`, `register`, `import`, or any whose `body` had no room"},
        ),
    ),
)

POLLS: Group = (
    "Polls",
    (
        Metric(
            "tidewire_waiting_polls",
            Kind.GAUGE,
            "Polls that wait for an event.",
            lambda view: view.survey.waiting,
        ),
        Metric(
            "tidewire_polls_parked_total",
            Kind.COUNTER,
            "Polls that found nothing and began to wait.",
            lambda view: view.sources.statistics.parked,
        ),
        Metric(
            "tidewire_polls_answered_total",
            Kind.COUNTER,
            "Polls answered with events after a wait.",
            lambda view: view.sources.statistics.answered,
        ),
        Metric(
            "tidewire_polls_displaced_total",
            Kind.COUNTER,
            "Waiting polls that another on the same queue took the place of.",
            lambda view: view.sources.statistics.displaced,
        ),
        Metric(
            "tidewire_polls_displaced_late_total",
            Kind.COUNTER,
            "Those of them that were answered late, because two clients go on displacing each other.",
            lambda view: view.sources.statistics.displaced_late,
        ),
        Metric(
            "tidewire_polls_lost_total",
            Kind.COUNTER,
            "Waiting polls whose connection went away.",
            lambda view: view.sources.statistics.lost,
        ),
        Metric(
            "tidewire_heartbeats_total",
            Kind.COUNTER,
            "Heartbeats that ended long waits.",
            lambda view: view.sources.statistics.heartbeats,
        ),
        Metric(
            "tidewire_answers_failed_total",
            Kind.COUNTER,
            "Answers that could not be handed to their connection; the events stay in the queue.",
            lambda view: view.sources.reported.answers_failed,
        ),
    ),
)

NOTIFICATIONS: Group = (
    "Notifications",
    (
        Metric(
            "tidewire_notifications_total",
            Kind.COUNTER,
            "Notification records put into the outbox.",
            _notifications,
            {"kind": "`push` or `email`", "trigger": "[triggers](notifications.md#triggers)"},
        ),
        Metric(
            "tidewire_outbox_records",
            Kind.GAUGE,
            "Notification records that wait for workers.",
            lambda view: view.tables.outbox,
        ),
        Metric(
            "tidewire_notifications_lost_total",
            Kind.COUNTER,
            "Notification records dropped because the outbox was full.",
            lambda view: view.sources.statistics.notifications_lost,
        ),
    ),
)
