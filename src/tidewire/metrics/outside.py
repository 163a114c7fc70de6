"""The metrics of what is around the queues: the journal, the bus, requests, the log, the process."""

from collections.abc import Mapping

from tidewire.metrics.table import Group, Kind, Labels, Metric, View

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
