"""All settings in one table, in the order in which they are documented, and how to find one."""

from collections.abc import Mapping
from types import MappingProxyType

from tidewire.config.setting import Setting
from tidewire.config.settings_application import AUTH, STATE
from tidewire.config.settings_core import BUS, COMPAT, NOTIFICATIONS, QUEUES, SERVER, SHARDS, STORAGE
from tidewire.config.settings_network import CONSOLE, EXPLAIN, LIMITS, LOG, TRACING

TABLE: tuple[Setting, ...] = (
    *SERVER,
    *AUTH,
    *STATE,
    *STORAGE,
    *QUEUES,
    *BUS,
    *SHARDS,
    *NOTIFICATIONS,
    *COMPAT,
    *LIMITS,
    *EXPLAIN,
    *CONSOLE,
    *TRACING,
    *LOG,
)
BY_NAME: Mapping[str, Setting] = MappingProxyType({setting.name: setting for setting in TABLE})
BY_ENVIRONMENT_NAME: Mapping[str, Setting] = MappingProxyType({s.environment_name: s for s in TABLE})
SECTIONS: tuple[str, ...] = tuple(dict.fromkeys(setting.section for setting in TABLE))
