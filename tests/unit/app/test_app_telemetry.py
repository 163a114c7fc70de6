"""Tracing as the settings say: off, on, and asked for where it is not installed."""

import subprocess
import sys
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner
from structlog.testing import capture_logs

from support.server_process import users_file
from tidewire.app.telemetry import open_traces, shard_for
from tidewire.cli.main import main
from tidewire.config import ConfigError, load
from tidewire.config.settings import Tracing
from tidewire.core.events.presentation import Presentation
from tidewire.core.shard import Shard
from tidewire.core.state.limits import Limits
from tidewire.engine.engine import Engine
from tidewire.tracing.traced_engine import TracedEngine, kind_for
from tidewire.tracing.traced_shard import TracedShard
from tidewire.tracing.traces import Losses

HERE = "http://127.0.0.1:9"  # nobody listens; nothing is sent either


def settings(*overrides: str) -> Tracing:
    return load(file=None, environ={}, overrides=overrides).tracing


def test_without_an_endpoint_a_server_has_the_plain_kinds() -> None:
    shard = shard_for(
        open_traces(settings(), log=structlog.get_logger()),
        limits=Limits(),
        rules={},
        presentation=Presentation(),
    )
    assert type(shard) is Shard
    assert kind_for(shard) is Engine


@pytest.mark.slow
def test_without_an_endpoint_nothing_of_opentelemetry_is_loaded() -> None:
    program = (
        "import sys, tidewire.server.server, tidewire.cli.main, tidewire.publisher, tidewire.client\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    assert done.stdout.strip() == "[]"


def test_with_one_it_has_those_that_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", HERE)
    for endpoint in (HERE, "environment"):
        traces = open_traces(
            settings(
                f"tracing.endpoint={endpoint}",
                "tracing.deliveries_per_notice=7",
                "tracing.max_open_deliveries=8",
            ),
            log=structlog.get_logger(),
        )
        assert traces is not None
        traces.close(0.0)
        shard = shard_for(traces, limits=Limits(), rules={}, presentation=Presentation())
        assert isinstance(shard, TracedShard)
        assert kind_for(shard) is TracedEngine
        assert traces.per_notice == 7


@pytest.fixture
def _not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "tidewire.tracing.otel", raising=False)


@pytest.mark.usefixtures("_not_installed")
def test_where_it_is_not_installed_that_is_said() -> None:
    with pytest.raises(ConfigError) as caught:
        open_traces(settings(f"tracing.endpoint={HERE}"), log=structlog.get_logger())
    (problem,) = caught.value.problems
    assert (problem.key, problem.expected) == ("tracing.endpoint", 'pip install "tidewire[otel]"')
    assert "opentelemetry" in problem.found


@pytest.mark.usefixtures("_not_installed")
def test_check_config_says_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "users.toml").write_text(users_file("ada"))
    checked = CliRunner().invoke(main, ["check-config", "--set", f"tracing.endpoint={HERE}"])
    assert checked.exit_code == 2
    assert "tracing.endpoint: found no opentelemetry" in checked.stderr


def test_check_config_names_the_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "users.toml").write_text(users_file("ada"))
    checked = CliRunner().invoke(main, ["check-config", "--set", f"tracing.endpoint={HERE}"])
    assert (checked.exit_code, f"tracing          {HERE}" in checked.stdout) == (0, True)
    assert "tracing" not in CliRunner().invoke(main, ["check-config"]).stdout


def test_a_variable_that_opentelemetry_cannot_use_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "-1")
    with pytest.raises(ConfigError, match="schedule_delay_millis"):
        open_traces(settings(f"tracing.endpoint={HERE}"), log=structlog.get_logger())


@pytest.mark.parametrize(
    "endpoint", ["127.0.0.1:4318", "http://user:password@host", "grpc://host", "http://host?a=b", "http://"]
)
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigError, match=r"tracing\.endpoint"):
        settings(f"tracing.endpoint={endpoint}")


def test_what_traces_lack_is_logged() -> None:
    with capture_logs() as entries:
        traces = open_traces(settings(f"tracing.endpoint={HERE}"), log=structlog.get_logger())
        assert traces is not None
        traces.losses = Losses(malformed=2)
        traces.tell(0.0)
        traces.close(0.0)
    assert entries == [
        {
            "event": "traces are incomplete",
            "log_level": "warning",
            "gave_way": 0,
            "passed_over": 0,
            "malformed": 2,
        }
    ]
