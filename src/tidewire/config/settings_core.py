"""The settings, section by section: what can be set, its default, and what it means.

The only place that says so, with `config/settings_network.py` and `config/settings_application.py`: records, loader, environment names
and reference page follow from it, and a test keeps the typed records in step.
"""

from tidewire.config.plugins import PATTERN
from tidewire.config.setting import Setting
from tidewire.config.types import Address, Budget, Choice, File, Flag, Integer, ListOf, Text

# Clients give up a poll after 90 s (R6.60); a heartbeat must reach them well before (R6.46).
LATEST_HEARTBEAT = 85
# R6.14: the level must not promise more than the rules deliver.
HIGHEST_FEATURE_LEVEL = 491

SERVER = (
    Setting(
        name="server.host",
        kind=Text(expected="a host name or an IP address", pattern=r"\S+"),
        default="127.0.0.1",
        meaning="The address to listen on.",
    ),
    Setting(
        name="server.port",
        kind=Integer(minimum=1, maximum=65535),
        default=9800,
        meaning="The port to listen on; with several shards, the port of the first.",
    ),
    Setting(
        name="server.secret",
        # It travels in an `Authorization: Bearer` header, where nothing else is safe.
        kind=Text(expected="printable ASCII without spaces, or an empty string", pattern=r"[!-~]*"),
        default="",
        meaning="The shared secret of the internal and operator routes; when empty, `server.secret_file` is read.",
        private=True,
    ),
    Setting(
        name="server.secret_file",
        kind=File(optional=True),
        default="",
        meaning="The file that holds the shared secret, readable by its owner only; without it a secret is made at the first start and kept in the state directory.",
    ),
    Setting(
        name="server.trusted_proxies",
        kind=ListOf(Address()),
        default=(),
        meaning="The networks whose forwarding headers are believed.",
    ),
    Setting(
        name="server.internal_from",
        kind=ListOf(Address()),
        default=("127.0.0.0/8", "::1"),
        meaning="The networks from which internal routes may be asked (R6.66).",
    ),
    Setting(
        name="server.cors_origins",
        kind=ListOf(
            Text(expected='origins such as "https://chat.example", or "*"', pattern=r"\*|https?://[^/\s]+")
        ),
        default=(),
        meaning="The origins whose pages may read answers of the public routes under `/api`; `*` means all.",
    ),
)

STORAGE = (
    Setting(
        name="storage.directory",
        kind=File(),
        default="state",
        meaning="The state directory: snapshots and the journal, and the secret made at the first start.",
    ),
    Setting(
        name="storage.durability",
        kind=Choice(("none", "process", "power")),
        default="process",
        meaning="What a confirmed notice survives: only a clean stop, the end of the process, or the loss of power.",
    ),
    Setting(
        name="storage.remember_ids_for",
        kind=Integer(minimum=1),
        default=86400,
        meaning="How long the id of a notice is remembered, so that a retry is not taken twice.",
        unit="seconds",
    ),
    Setting(
        name="storage.remember_ids_max",
        kind=Integer(minimum=1),
        default=1_000_000,
        meaning="How many ids of notices are remembered at most; the oldest go first.",
        unit="ids",
    ),
    Setting(
        name="storage.snapshot_after_bytes",
        kind=Integer(minimum=1),
        default=67_108_864,
        meaning="How large the journal grows at least before a snapshot replaces it; it also grows to twice the size of the last snapshot.",
        unit="bytes",
    ),
)

QUEUES = (
    Setting(
        name="queues.idle_timeout",
        kind=Integer(minimum=1),
        default=600,
        meaning="How long a queue lives without a poll when its client asked for nothing else.",
        unit="seconds",
    ),
    Setting(
        name="queues.max_idle_timeout",
        kind=Integer(),
        default=604_800,
        meaning="The longest idle timeout a client gets; longer ones are lowered to it.",
        unit="seconds",
        zero="no upper bound",
    ),
    Setting(
        name="queues.min_idle_timeout",
        kind=Integer(),
        default=60,
        meaning="The shortest idle timeout a client gets; shorter ones are raised to it, and the answer says so.",
        unit="seconds",
        zero="no lower bound",
    ),
    Setting(
        name="queues.offline_after",
        kind=Integer(),
        default=600,
        meaning="After how long without a poll a client counts as offline (R2.23).",
        unit="seconds",
        zero="nobody is marked offline",
    ),
    Setting(
        name="queues.collect_every",
        kind=Integer(),
        default=60,
        meaning="How often queues whose idle timeout has passed are removed.",
        unit="seconds",
        zero="none are removed",
    ),
    Setting(
        name="queues.heartbeat_min",
        kind=Integer(minimum=1, maximum=LATEST_HEARTBEAT),
        default=45,
        meaning="The shortest time after which a waiting poll is answered with a heartbeat (R6.43).",
        unit="seconds",
    ),
    Setting(
        name="queues.heartbeat_max",
        kind=Integer(minimum=1, maximum=LATEST_HEARTBEAT),
        default=55,
        meaning="The longest time after which a waiting poll is answered with a heartbeat (R6.43).",
        unit="seconds",
    ),
    Setting(
        name="queues.max_events",
        kind=Integer(),
        default=100_000,
        meaning="How many events one queue holds at most; one that gets more ends with the reason `overflow`.",
        unit="events",
        zero="no bound",
    ),
    Setting(
        name="queues.max_bytes",
        kind=Integer(),
        default=67_108_864,
        meaning="How many bytes of events one queue holds at most, as they would be sent; one that gets more ends with the reason `overflow`.",
        unit="bytes",
        zero="no bound",
    ),
    Setting(
        name="queues.max_per_user",
        kind=Integer(),
        default=100,
        meaning="How many queues one user has at most; at the bound the user's longest-idle queue without a poll ends with the reason `limit`.",
        unit="queues",
        zero="no bound",
    ),
    Setting(
        name="queues.memory_budget",
        kind=Budget(),
        default="auto",
        meaning='How much memory a shard may take for what its clients and publishers give it to keep, from events to unread answers; "auto" is half of what the machine or container has. Beyond it queues end with the reason `memory`, those first whose oldest event has waited for longest.',
        unit="bytes",
        zero="no bound",
    ),
    Setting(
        name="queues.answer_max_bytes",
        kind=Integer(minimum=1),
        default=1_048_576,
        meaning="How many bytes of events one answer holds at most, though always at least one event.",
        unit="bytes",
    ),
    Setting(
        name="queues.rules",
        kind=Text(expected="module:NAME, or an empty string for none", pattern=f"(?:{PATTERN})?"),
        default="",
        meaning="The application's own merge rules: a mapping from event type to rule, or a function that gives one; the module is looked for among the installed ones, then in the working directory.",
    ),
)

BUS = (
    Setting(
        name="bus.url",
        kind=Text(
            expected='"memory:", or a broker such as "amqp://user:password@host:5672/vhost"',
            pattern=r"memory:|amqps?://[^\s/?#]+(/[^\s/]*)?",
        ),
        default="memory:",
        meaning="The bus that notices come from: embedded, or RabbitMQ, which also takes the notifications. `amqps://` speaks TLS; the nodes of a cluster stand side by side, with commas between `host:port`.",
        private=True,  # the address of a broker holds its password
    ),
    Setting(
        name="bus.queue",
        kind=Text(
            expected="a queue's name of up to 200 characters, or an empty string", pattern=r"[^\s]{0,200}"
        ),
        default="",
        meaning="The queue on RabbitMQ that notices come through; empty for `notify_tornado`, or with "
        "`shards.map_file` for `notify_tornado_port_<port>` (R8.2). Several shards have one each, so that it must be "
        "empty then.",
    ),
    Setting(
        name="bus.prefetch",
        kind=Integer(minimum=1, maximum=65_535),
        default=1000,
        meaning="How many notices RabbitMQ sends before the first of them is acknowledged (R8.8).",
        unit="notices",
    ),
)

SHARDS = (
    Setting(
        name="shards.map_file",
        kind=File(optional=True),
        default="",
        meaning="The file that says which shard serves which users; empty when there is one shard. Read again on SIGHUP.",
    ),
    Setting(
        name="shards.index",
        kind=Integer(),
        default=0,
        meaning="Which shard of the map this process is; its port there is the one it listens on.",
    ),
    Setting(
        name="shards.wrong_shard",
        kind=Choice(("proxy", "redirect")),
        default="proxy",
        meaning="Whether a request for another shard's user is passed on by the shard or sent on by nginx.",
    ),
)

NOTIFICATIONS = (
    Setting(
        name="notifications.outbox_max",
        kind=Integer(),
        default=100_000,
        meaning="How many notification records wait at most for workers, in all queues together; beyond it the oldest are lost.",
        unit="records",
        zero="no bound: memory is the limit",
    ),
)

COMPAT = (
    Setting(
        name="compat.feature_level",
        kind=Integer(maximum=HIGHEST_FEATURE_LEVEL),
        default=491,
        meaning="The feature level that clients are told and choose formats by (R6.14).",
    ),
    Setting(
        name="compat.version",
        kind=Text(expected="a version such as 12.0, not empty", pattern=r"\S.*"),
        default="12.0",
        meaning="The version that clients are told.",
    ),
    Setting(
        name="compat.legacy_bad_queue_text",
        kind=Choice(("always", "never", "zulip-term")),
        default="zulip-term",
        meaning="Which clients get the older spelling of the unknown-queue error: all, none, or zulip-term, which waits for it (R6.95).",
    ),
    Setting(
        name="compat.narrow_hears_public_channels",
        kind=Flag(),
        default=False,
        meaning="Whether a narrow on a public channel also brings members its messages when they are not subscribed.",
    ),
    Setting(
        name="compat.reload_web_clients",
        kind=Flag(),
        default=False,
        meaning="Whether a start tells web clients of an earlier process to reload, all at once; else the internal route does (R1.28).",
    ),
    Setting(
        name="compat.realm_host",
        kind=Text(expected="a host name, or an empty string", pattern=r"[^\s/]*"),
        default="",
        meaning="The host in the stand-in addresses of senders who are hidden from the reader, for messages whose notice names no `realm_host`.",
    ),
    Setting(
        name="compat.avatar_salt",
        kind=Text(),
        default="",
        meaning="The salt in the file names of uploaded avatars, the same as the application's.",
        private=True,
    ),
)
