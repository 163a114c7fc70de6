"""The settings of the section `limits`, as in `config/sections.py`: what requests may ask of the server."""

from tidewire.config.kinds import Integer
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
        effective=False,
    ),
)
