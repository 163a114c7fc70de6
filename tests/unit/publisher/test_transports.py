"""The way that a URL chooses."""

import importlib
from typing import Any

import pytest

from tidewire.publisher import AsyncPublisher, BadUrl, Publisher


@pytest.mark.parametrize("kind", [Publisher, AsyncPublisher])
@pytest.mark.parametrize(
    "url", ["amqp://", "amqp://host:0/", "amqp://host:port/", "amqp://user:hunter2@:5672/"]
)
def test_a_broker_s_address_that_can_t_be_used_is_refused(kind: Any, url: str) -> None:
    with pytest.raises(BadUrl) as caught:
        kind(url)
    assert "hunter2" not in str(caught.value)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise ModuleNotFoundError(name="pika")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(BadUrl, match=r"tidewire\[rabbitmq\]"):
        Publisher("amqp://host/")
