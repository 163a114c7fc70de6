"""`/metrics` and `tidewire loglevel` of a real server."""

import json
import re
import signal
import subprocess
import sys

import pytest

from support.metrics import parsed
from support.server_process import BEARER, SECRET, ServerProcess, StartServer, clean_environment

pytestmark = pytest.mark.slow


def scrape(server: ServerProcess) -> dict[str, float]:
    answer = server.ask("GET", "/metrics")
    assert answer.status == 200
    return parsed(answer.body.decode())


def test_a_server_counts_what_it_does_and_what_it_brought_back(start_server: StartServer) -> None:
    server = start_server("storage.durability=power")
    queue_id = server.register("ada")
    server.park("ada", queue_id)
    server.publish_event("ada", type="typing")
    found = scrape(server)
    assert found["tidewire_queues"] == 1
    assert found['tidewire_event_processing_seconds_count{type="typing"}'] == 1
    assert found["tidewire_polls_answered_total"] == 1
    assert found["tidewire_journal_append_seconds_count"] >= 2
    assert found["tidewire_journal_flush_seconds_count"] >= 1
    assert found["tidewire_journal_written_bytes_total"] > 0
    assert found["tidewire_journal_tail_bytes"] > 0
    assert found["tidewire_http_connections"] >= 1
    assert found["tidewire_process_resident_memory_bytes"] > 1e7
    assert found["tidewire_memory_budget_bytes"] > 0
    assert found['tidewire_http_requests_total{method="POST",route="/api/v1/register",status="200"}'] == 1
    server.signal(signal.SIGKILL)
    server.wait()
    server.start()
    found = scrape(server)
    assert found["tidewire_queues"] == 1
    assert found["tidewire_recovery_records"] >= 2
    assert found["tidewire_recovery_queues"] == 1
    assert found["tidewire_recovery_seconds"] > 0
    # What the journal repeats was counted by the process that did it.
    assert found['tidewire_queues_made_total{origin="registered"}'] == 0
    assert not [name for name in found if name.startswith("tidewire_event_processing")]


def loglevel(server: ServerProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tidewire", "loglevel", "--url", server.url, *arguments]
    environment = clean_environment() | {"TIDEWIRE_SECRET": SECRET}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)  # noqa: S603 - our own command


def test_the_level_of_a_running_server_changes(start_server: StartServer) -> None:
    server = start_server("log.format=json")
    assert loglevel(server).stdout == "debug\n"
    assert loglevel(server, "warning").stdout == "warning (before: debug)\n"
    server.ask("GET", "/made/up/while/quiet")
    done = loglevel(server, "info", "--json")
    assert json.loads(done.stdout) == {"level": "info", "before": "warning"}
    server.ask("GET", "/made/up/while/loud")
    assert server.stop() == 0
    assert "/made/up/while/loud" in server.log
    assert "/made/up/while/quiet" not in server.log


def test_a_client_cannot_fill_the_log_with_refusals(start_server: StartServer) -> None:
    server = start_server("log.format=json")
    for _ in range(150):
        assert server.ask("GET", "/api/v1/events", headers=BEARER).status == 400
    found = scrape(server)
    assert found['tidewire_log_suppressed_total{event="refused"}'] >= 20
    refused = len(re.findall(r'"event":"refused"', server.log))
    assert refused + found['tidewire_log_suppressed_total{event="refused"}'] == 150
