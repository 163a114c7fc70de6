"""The published `async-zulip-bot-sdk`, unmodified, where there is a Python that runs it (6F)."""

from pathlib import Path

import pytest

from support.published_clients import client_program, zuliprc
from support.reader_process import ReaderProcess
from support.server_process import KEYS, ServerProcess, email

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "support" / "sdk_reader.py"


def test_its_client_reads_on_over_a_restart_and_registers_again_when_its_queue_is_gone(
    server: ServerProcess, tmp_path: Path
) -> None:
    python = client_program("async-zulip-bot-sdk", "bin/python")
    config = zuliprc(tmp_path, site=server.url, email=email("ada"), key=KEYS["ada"])
    with ReaderProcess([str(python), str(SCRIPT), str(config)], tmp_path) as reader:
        _, deregistered, first = reader.wait_for(3)
        assert deregistered == {"deregistered": {"result": "success", "msg": ""}}
        server.publish_event("ada", type="t", number=1)
        reader.wait_for(4)
        server.restart()
        server.publish_event("ada", type="t", number=2)
        reader.wait_for(5)
        server.restart(keep_state=False)
        second = reader.wait_for(6)[5]
        server.publish_event("ada", type="t", number=3)
        lines = reader.wait_for(7)
    events = [line["event"] for line in lines if "event" in line]
    assert [(event["number"], event["id"]) for event in events] == [(1, 0), (2, 1), (3, 0)]
    assert first["registered"] != second["registered"]
