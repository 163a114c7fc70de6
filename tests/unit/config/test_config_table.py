"""The table is the only source: the records, the names and the contract's defaults follow from it."""

import tomllib
from dataclasses import fields, is_dataclass
from typing import get_type_hints

import pytest

from tidewire.config import Settings
from tidewire.config.setting import Setting
from tidewire.config.table import BY_ENVIRONMENT_NAME, BY_NAME, SECTIONS, TABLE

# The block of the outside names, as a user would write it.
CONTRACT = """
[server]
host = "127.0.0.1"
port = 9800
secret = ""
secret_file = ""
trusted_proxies = []
internal_from = ["127.0.0.0/8", "::1"]
cors_origins = []
[auth]
kind = ["users"]
users_file = "users.toml"
session_origins = []
http_url = ""
http_timeout = 5
http_cache_ttl = 30
http_cookies = []
jwt_audience = ""
jwt_keys = []
jwt_issuer = ""
jwt_key = ""
jwt_key_file = ""
jwt_algorithms = ["RS256", "ES256", "EdDSA"]
jwt_user_claim = "sub"
jwt_realm_claim = "realm_id"
[state]
modules = []
callback_url = ""
callback_timeout = 5
callback_attempts = 2
callback_max_bytes = 16777216
timeout = 10
defaults = true
max_users = 500
[storage]
directory = "state"
durability = "process"
remember_ids_for = 86400
remember_ids_max = 1000000
snapshot_after_bytes = 67108864
[queues]
idle_timeout = 600
max_idle_timeout = 604800
min_idle_timeout = 60
offline_after = 600
collect_every = 60
heartbeat_min = 45
heartbeat_max = 55
max_events = 100000
max_bytes = 67108864
max_per_user = 100
memory_budget = "auto"
answer_max_bytes = 1048576
rules = ""
[bus]
url = "memory:"
queue = ""
prefetch = 1000
[shards]
map_file = ""
index = 0
wrong_shard = "proxy"
[notifications]
outbox_max = 100000
[compat]
feature_level = 491
version = "12.0"
legacy_bad_queue_text = "zulip-term"
narrow_hears_public_channels = false
reload_web_clients = false
realm_host = ""
avatar_salt = ""
[limits]
user_requests_per_minute = 0
address_requests_per_minute = 0
dump_max_bytes = 134217728
registration_bytes = 65536
header_deadline = 10
request_deadline = 60
write_deadline = 60
header_bytes = 16384
headers = 100
url_bytes = 8192
connections = 0
connections_per_address = 0
accept_rate = 0
[explain]
queue_bytes = 2048
ended_queues = 1000
[console]
enabled = true
session_lifetime = 43200
[tracing]
endpoint = ""
service_name = ""
deliveries_per_notice = 20
max_open_deliveries = 10000
[log]
format = "console"
level = "info"
"""


def test_the_defaults_are_those_of_the_contract() -> None:
    declared: dict[str, dict[str, object]] = {}
    for setting in TABLE:
        default = list(setting.default) if isinstance(setting.default, tuple) else setting.default
        declared.setdefault(setting.section, {})[setting.key] = default
    assert declared == tomllib.loads(CONTRACT)


def test_the_records_have_exactly_the_settings_of_the_table() -> None:
    sections = get_type_hints(Settings)
    assert tuple(sections) == SECTIONS
    for name, record in sections.items():
        assert is_dataclass(record)
        assert [field.name for field in fields(record)] == [s.key for s in TABLE if s.section == name]


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(BY_ENVIRONMENT_NAME) == len(TABLE)


@pytest.mark.parametrize("setting", TABLE, ids=lambda setting: setting.name)
def test_each_setting_is_described_and_its_default_fits(setting: Setting) -> None:
    setting.kind.fit(setting.default)
    assert setting.meaning.endswith(".")
    assert setting.environment_name == f"TIDEWIRE_{setting.section.upper()}__{setting.key.upper()}"


def test_private_settings_are_left_out_of_the_records_text() -> None:
    hints = get_type_hints(Settings)
    for setting in TABLE:
        shown = next(f.repr for f in fields(hints[setting.section]) if f.name == setting.key)
        assert shown is not setting.private
