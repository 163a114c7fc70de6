"""The bus that the settings name, when what it needs is not there."""

import importlib
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tidewire.app.build import App, open_bus
from tidewire.config import ConfigError
from tidewire.http.context import ServerStatus
from tidewire.ports.bus import Embedded


def app(url: str) -> App:
    bus = SimpleNamespace(url=url, queue="", prefetch=1)
    return cast("App", SimpleNamespace(settings=SimpleNamespace(bus=bus)))


def test_the_embedded_bus_needs_nothing() -> None:
    assert isinstance(open_bus(app("memory:"), log=cast("Any", None)), Embedded)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise ModuleNotFoundError(name="pika")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigError, match=r"tidewire\[rabbitmq\]"):
        open_bus(app("amqp://user:hunter2@host/"), log=cast("Any", None))


def test_what_is_wrong_is_told_together() -> None:
    status = ServerStatus()
    status.bus_is_away(True)
    status.journal_fails(True)
    assert status.degraded == ["bus", "journal"]
    status.bus_is_away(True)
    status.bus_is_away(False)
    assert status.degraded == ["journal"]
