"""The metrics of queues and of the memory that they take."""

from tidewire.core.bounds import GIVE_WAY
from tidewire.core.records import REASONS
from tidewire.metrics.table import Group, Kind, Metric

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
