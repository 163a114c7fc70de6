"""The settings of the outermost things: what any peer may cost, and the log (`config/settings_core.py` has the others)."""

from tidewire.config.setting import Setting
from tidewire.config.types import Choice, Flag, Integer, Text

LIMITS = (
    Setting(
        name="limits.user_requests_per_minute",
        kind=Integer(),
        default=0,
        meaning="How many requests one user may make; so many at once, then evenly spread (R6.13).",
        unit="requests a minute",
        zero="no limit",
    ),
    Setting(
        name="limits.address_requests_per_minute",
        kind=Integer(),
        default=0,
        meaning="How many requests without a user may come from one address, or from one IPv6 network of 64 bits; failed logins count (R6.13).",
        unit="requests a minute",
        zero="no limit",
    ),
    Setting(
        name="limits.dump_max_bytes",
        kind=Integer(),
        default=134_217_728,
        meaning="How large one request to import queues may be; `tidewire import-dump` sends a large dump in several, so this need not be more than the largest queue.",
        unit="bytes",
        zero="no limit",
    ),
    Setting(
        name="limits.registration_bytes",
        kind=Integer(),
        default=65_536,
        meaning="How much memory the event types, narrow and client's name of one registration may take: some 330 event types, or 130 narrow terms. A larger one is refused with `REGISTRATION_TOO_LARGE`, and skipped in a dump.",
        unit="bytes",
        zero="no bound",
    ),
    Setting(
        name="limits.header_deadline",
        kind=Integer(),
        default=10,
        meaning="How long a connection may take to send the head of a request.",
        unit="seconds",
        zero="no limit",
    ),
    Setting(
        name="limits.request_deadline",
        kind=Integer(),
        default=60,
        meaning="How long a connection may take to send the body of a request.",
        unit="seconds",
        zero="no limit",
    ),
    Setting(
        name="limits.write_deadline",
        kind=Integer(),
        default=60,
        meaning="How long a client may leave what it was sent unread; then its connection is dropped, and its queue keeps the events.",
        unit="seconds",
        zero="no limit",
    ),
    Setting(
        name="limits.header_bytes",
        kind=Integer(minimum=1024),
        default=16_384,
        meaning="How large the head of a request may be.",
        unit="bytes",
    ),
    Setting(
        name="limits.headers",
        kind=Integer(minimum=10),
        default=100,
        meaning="How many headers a request may have.",
        unit="headers",
    ),
    Setting(
        name="limits.url_bytes",
        kind=Integer(minimum=1024),
        default=8192,
        meaning="How long a request's path with its query may be.",
        unit="bytes",
    ),
    Setting(
        name="limits.connections",
        kind=Integer(),
        default=0,
        meaning="How many connections may be open.",
        unit="connections",
        zero="as many as the process may have files open, less some for itself",
    ),
    Setting(
        name="limits.connections_per_address",
        kind=Integer(),
        default=0,
        meaning="How many connections may be open from one address; a proxy in front is one address.",
        unit="connections",
        zero="no limit",
    ),
    Setting(
        name="limits.accept_rate",
        kind=Integer(),
        default=0,
        meaning="How many connections are let in a second. The others are not refused: they wait in the backlog of the "
        "socket, and where that is full their system tries again. So clients that all come back after a restart don't "
        "take the time of those that are there.",
        unit="connections",
        zero="no limit",
    ),
)

EXPLAIN = (
    Setting(
        name="explain.queue_bytes",
        kind=Integer(maximum=1_048_576),
        default=2048,
        meaning="How much each queue records of what became of its events, so that `tidewire explain` can say; at least 512.",
        unit="bytes",
        zero="nothing is recorded",
    ),
    Setting(
        name="explain.ended_queues",
        kind=Integer(maximum=1_000_000),
        default=1000,
        meaning="Of how many ended queues the records are kept; the oldest go first.",
        unit="queues",
        zero="none are kept",
    ),
)

CONSOLE = (
    Setting(
        name="console.enabled",
        kind=Flag(),
        default=True,
        meaning="Whether the server has the operators' page at `/console`.",
    ),
    Setting(
        name="console.session_lifetime",
        kind=Integer(minimum=60, maximum=604_800),
        default=43_200,
        meaning="How long an operator who has logged in to the console stays so.",
        unit="seconds",
    ),
)

TRACING = (
    Setting(
        name="tracing.endpoint",
        # Credentials in it would be shown; they have a place in OTEL_EXPORTER_OTLP_HEADERS.
        kind=Text(
            expected='a URL such as "http://127.0.0.1:4318", without a user or a query; "environment"; or an empty string',
            pattern=r"|environment|https?://[^\s/@?#]+(/[^\s@?#]*)?",
        ),
        default="",
        meaning="The collector that spans go to, as OTLP over HTTP; `/v1/traces` is added to a URL without a path. With `environment`, what the variables `OTEL_EXPORTER_OTLP_*` say. When empty, nothing is traced. Needs `tidewire[otel]`.",
    ),
    Setting(
        name="tracing.service_name",
        kind=Text(),
        default="",
        meaning="What spans call this server; when empty, what `OTEL_SERVICE_NAME` says, or `tidewire`.",
    ),
    Setting(
        name="tracing.deliveries_per_notice",
        kind=Integer(maximum=10_000),
        default=20,
        meaning="How many deliveries of one notice get a span; the others are counted.",
        unit="deliveries",
        zero="none get one",
    ),
    Setting(
        name="tracing.max_open_deliveries",
        kind=Integer(minimum=1, maximum=1_000_000),
        default=10_000,
        meaning="How many traced deliveries may wait for their acknowledgement; when there are more, the oldest end as they are.",
        unit="deliveries",
    ),
)

LOG = (
    Setting(
        name="log.format",
        kind=Choice(("console", "json")),
        default="console",
        meaning="Whether the log is written for people or as one JSON object a line.",
    ),
    Setting(
        name="log.level",
        kind=Choice(("debug", "info", "warning", "error")),
        default="info",
        meaning="The least important records that are logged.",
    ),
)
