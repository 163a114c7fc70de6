"""Every metric that the server exports, group by group: name, kind, labels, meaning, and where its value comes from."""

from collections.abc import Mapping

from tidewire.core.delivery.processors import ALL_REFUSALS
from tidewire.core.notifications.triggers import EMAIL_TRIGGERS, PUSH_TRIGGERS
from tidewire.core.records import REASONS
from tidewire.core.transitions.removal import GIVE_WAY
from tidewire.observability.metrics.metric import Group, Kind, Labels, Metric, View

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


POLL = ("/api/v1/events", "GET", "200")


def _requests(view: View) -> Mapping[Labels, float]:
    http = view.sources.http
    found: dict[Labels, float] = {
        (route, method, str(status)): count for (route, method, status), count in http.answers.items()
    }
    return {**found, POLL: found.get(POLL, 0) + http.polls}


def _lane(view: View) -> Mapping[Labels, float]:
    lane = view.sources.http.lane
    return {
        ("repoll",): lane.repolls,
        ("poll",): lane.polls,
        ("publish",): lane.publishes,
        ("handed_over",): lane.handed_over,
    }


STORAGE: Group = (
    "Journal and recovery",
    (
        Metric(
            "tidewire_journal_append_seconds",
            Kind.HISTOGRAM,
            "Time to write one record; with durability `none` there are none.",
            lambda view: view.sources.journal.appends,
        ),
        Metric(
            "tidewire_journal_flush_seconds",
            Kind.HISTOGRAM,
            "Time to make what was written durable, with durability `power`; answers wait for it.",
            lambda view: view.sources.journal.flushes,
        ),
        Metric(
            "tidewire_journal_written_bytes_total",
            Kind.COUNTER,
            "Bytes of records that were written.",
            lambda view: view.sources.journal.bytes,
        ),
        Metric(
            "tidewire_journal_failures_total",
            Kind.COUNTER,
            "Records that could not be written.",
            lambda view: view.sources.journal.failures,
        ),
        Metric(
            "tidewire_journal_failing",
            Kind.GAUGE,
            "1 while the journal can't be written, and publishers are refused.",
            lambda view: view.sources.journal_fails(),
        ),
        Metric(
            "tidewire_journal_tail_bytes",
            Kind.GAUGE,
            "Bytes of records since the newest snapshot: what a start would have to apply.",
            lambda view: view.sources.tail_bytes(),
        ),
        Metric(
            "tidewire_snapshot_bytes",
            Kind.GAUGE,
            "Size of the newest snapshot; 0 when there is none.",
            lambda view: view.sources.reported.snapshot_bytes,
        ),
        Metric(
            "tidewire_snapshots_total",
            Kind.COUNTER,
            "Snapshots.",
            lambda view: {
                ("kept",): view.sources.reported.snapshots_kept,
                ("failed",): view.sources.reported.snapshots_failed,
            },
            {"outcome": "`kept` or `failed`"},
        ),
        Metric(
            "tidewire_recovery_seconds",
            Kind.GAUGE,
            "Time that the newest start took to bring the state back.",
            lambda view: view.sources.comeback.seconds,
        ),
        Metric(
            "tidewire_recovery_records",
            Kind.GAUGE,
            "Records that it applied.",
            lambda view: view.sources.comeback.records,
        ),
        Metric(
            "tidewire_recovery_queues",
            Kind.GAUGE,
            "Queues that it brought back.",
            lambda view: view.sources.comeback.queues,
        ),
        Metric(
            "tidewire_recovery_damaged_queues",
            Kind.GAUGE,
            "Queues that ended or are gone because something of them could not be read.",
            lambda view: len(view.sources.comeback.damaged) + view.sources.comeback.lost_queues,
        ),
        Metric(
            "tidewire_recovery_problems",
            Kind.GAUGE,
            "What of the state was damaged or could not be restored; the log names each.",
            lambda view: len(view.sources.comeback.damage) + len(view.sources.comeback.skipped),
        ),
    ),
)


BUS: Group = (
    "Bus",
    (
        Metric(
            "tidewire_bus_connected",
            Kind.GAUGE,
            "1 while notices can come; the embedded bus always can.",
            lambda view: view.sources.bus().connected,
        ),
        Metric(
            "tidewire_bus_waiting",
            Kind.GAUGE,
            "Deliveries that were received and are not acknowledged yet.",
            lambda view: view.sources.bus().waiting,
        ),
        Metric(
            "tidewire_bus_lag_seconds",
            Kind.GAUGE,
            "How long the oldest of them has waited.",
            lambda view: view.sources.bus().lag,
        ),
    ),
)


HTTP: Group = (
    "Requests",
    (
        Metric(
            "tidewire_http_requests_total",
            Kind.COUNTER,
            "Answered requests.",
            _requests,
            {
                "route": "as [HTTP API](http-api.md) writes it; `unmatched` for what is none",
                "method": "`unmatched` for one that the route does not have",
                "status": "the status",
            },
        ),
        Metric(
            "tidewire_http_errors_total",
            Kind.COUNTER,
            "Error answers.",
            lambda view: {(code,): count for code, count in view.sources.http.errors.items()},
            {"code": "[errors](errors.md)"},
        ),
        Metric(
            "tidewire_http_lane_requests_total",
            Kind.COUNTER,
            "Requests, by what the fast lane did with them.",
            _lane,
            {
                "way": "`repoll` (a poll known from the one before), `poll`, `publish`, `handed_over` to the ordinary routes"
            },
        ),
        Metric(
            "tidewire_http_connections",
            Kind.GAUGE,
            "Open connections.",
            lambda view: len(view.sources.http.connections),
        ),
        Metric(
            "tidewire_http_connections_refused_total",
            Kind.COUNTER,
            "Connections refused because there were too many.",
            lambda view: view.sources.http.lane.refused,
        ),
        Metric(
            "tidewire_http_connections_timed_out_total",
            Kind.COUNTER,
            "Connections ended because they were too slow to send or to read.",
            lambda view: view.sources.http.lane.timed_out,
        ),
        Metric(
            "tidewire_log_suppressed_total",
            Kind.COUNTER,
            "Entries left out of the log because too many of their kind came.",
            lambda view: {(event,): count for event, count in view.sources.suppressed.items()},
            {"event": "[the entry](log.md), or the library that wrote it"},
        ),
    ),
)


PROCESS: Group = (
    "Process",
    (
        Metric(
            "tidewire_build_info",
            Kind.GAUGE,
            "Always 1; its labels say what runs.",
            lambda view: {(view.sources.version, view.sources.process.python): 1},
            {"version": "of Tidewire", "python": "of the interpreter"},
        ),
        Metric(
            "tidewire_process_resident_memory_bytes",
            Kind.GAUGE,
            "Memory that the process takes.",
            lambda view: view.sources.process.resident_bytes(),
        ),
        Metric(
            "tidewire_process_cpu_seconds_total",
            Kind.COUNTER,
            "CPU time of all its threads.",
            lambda view: view.sources.process.cpu_seconds(),
        ),
        Metric(
            "tidewire_process_open_fds",
            Kind.GAUGE,
            "Open files, connections among them.",
            lambda view: view.sources.process.open_files(),
        ),
        Metric(
            "tidewire_process_max_fds",
            Kind.GAUGE,
            "How many it may have open.",
            lambda view: view.sources.process.most_files(),
        ),
        Metric(
            "tidewire_process_start_time_seconds",
            Kind.GAUGE,
            "When it started, as UNIX time.",
            lambda view: view.sources.process.started,
        ),
        Metric(
            "tidewire_process_uptime_seconds",
            Kind.GAUGE,
            "How long ago that is.",
            lambda view: view.sources.process.uptime(),
        ),
        Metric(
            "tidewire_process_skipped_seconds_total",
            Kind.COUNTER,
            "Time in which the process did not run, as when the machine sleeps.",
            lambda view: view.sources.reported.skipped,
        ),
    ),
)


QUEUES: Group = (
    "Queues",
    (
        Metric("tidewire_queues", Kind.GAUGE, "Event queues.", lambda view: view.survey.queues),
        Metric(
            "tidewire_users",
            Kind.GAUGE,
            "Users who have a queue.",
            lambda view: view.tables.users,
        ),
        Metric(
            "tidewire_queues_offline",
            Kind.GAUGE,
            "Queues whose owner counts as gone.",
            lambda view: view.survey.offline,
        ),
        Metric(
            "tidewire_queues_made_total",
            Kind.COUNTER,
            "Queues that were made.",
            lambda view: {
                ("registered",): view.sources.statistics.registered,
                ("imported",): view.sources.statistics.imported,
            },
            {"origin": "`registered` by a client, or `imported` from a dump"},
        ),
        Metric(
            "tidewire_queues_removed_total",
            Kind.COUNTER,
            "Queues that ended.",
            lambda view: {(reason,): view.sources.statistics.removed[reason] for reason in REASONS},
            {"reason": "[why a queue ends](http-api.md#why-a-queue-ends)"},
        ),
        Metric(
            "tidewire_queues_without_capability",
            Kind.GAUGE,
            "Queues whose client was registered without a capability, and so needs the older form of its events.",
            lambda view: {(name,): count for name, count in view.survey.lacking.items()},
            {"capability": "[capabilities](capabilities.md)"},
        ),
        Metric(
            "tidewire_shapes",
            Kind.GAUGE,
            "Distinct shapes among the queues: at most so many bodies are made of one event.",
            lambda view: view.tables.shapes,
        ),
        Metric(
            "tidewire_acceptances",
            Kind.GAUGE,
            "Distinct acceptances among the queues.",
            lambda view: view.tables.acceptances,
        ),
        Metric(
            "tidewire_queue_events",
            Kind.SPREAD,
            "How many events each queue holds, delivered and not acknowledged ones included; `_gsum` is all of them.",
            lambda view: view.survey.depths,
        ),
        Metric(
            "tidewire_queue_events_max",
            Kind.GAUGE,
            "Events of the queue that holds most.",
            lambda view: view.survey.depths.most,
        ),
        Metric(
            "tidewire_queue_bytes",
            Kind.SPREAD,
            "Bytes of the events that each queue holds, as they would be delivered; shared ones count for each.",
            lambda view: view.survey.sizes,
        ),
        Metric(
            "tidewire_queue_bytes_max",
            Kind.GAUGE,
            "Bytes of the largest queue.",
            lambda view: view.survey.sizes.most,
        ),
        Metric(
            "tidewire_collector_runs_total",
            Kind.COUNTER,
            "How often the collector looked for expired queues.",
            lambda view: view.sources.reported.collections,
        ),
        Metric(
            "tidewire_collector_seconds_total",
            Kind.COUNTER,
            "Time that it took.",
            lambda view: view.sources.reported.collecting,
        ),
        Metric(
            "tidewire_remembered_notice_ids",
            Kind.GAUGE,
            "Ids of notices that would be recognised as repeats.",
            lambda view: view.tables.remembered,
        ),
        Metric(
            "tidewire_tombstones",
            Kind.GAUGE,
            "Ended queues of which it is known why they ended.",
            lambda view: view.tables.tombstones,
        ),
    ),
)


MEMORY: Group = (
    "Memory",
    (
        Metric(
            "tidewire_memory_used_bytes",
            Kind.GAUGE,
            "What everything takes, as it counts against the budget: shared bodies once.",
            lambda view: view.tables.memory_used,
        ),
        Metric(
            "tidewire_memory_part_bytes",
            Kind.GAUGE,
            "What that is made of, before it is corrected by what the process takes.",
            lambda view: {(part,): size for part, size in view.tables.memory_parts.items()},
            {"part": "[what is counted](../explanation/bounds.md#all-queues-together)"},
        ),
        Metric(
            "tidewire_memory_given_way_total",
            Kind.COUNTER,
            "What was given up for want of memory before any queue ended.",
            lambda view: {(what,): view.sources.statistics.gave_way[what] for what in GIVE_WAY},
            {
                "what": "`explanations` of ended queues, or connections with `unread_answers`, whose queues stay"
            },
        ),
        Metric(
            "tidewire_memory_budget_bytes",
            Kind.GAUGE,
            "What it may take (`queues.memory_budget`); 0: no bound.",
            lambda view: view.sources.memory_budget,
        ),
        Metric(
            "tidewire_memory_exhausted",
            Kind.GAUGE,
            "1 while registrations, imports and publications are refused because the budget is used up.",
            lambda view: view.tables.memory_exhausted,
        ),
    ),
)
