"""The settings of the outermost things: what any peer may cost, and the log (`sections.py` has the others)."""

from tidewire.config.kinds import Choice, Integer
from tidewire.config.setting import Setting

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
        name="limits.new_connections_per_second",
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
