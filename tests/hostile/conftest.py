"""Fixtures of the attacks."""

from collections.abc import Iterator

import pytest

from support.server_process import ServerProcess


@pytest.fixture(scope="module")
def attacked_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for a module's attacks; at its end it must still run, stop in order, and have no traceback in its log."""
    server = ServerProcess(tmp_path_factory.mktemp("attacked"), "log.level=warning")
    server.start()
    try:
        yield server
        assert server.is_running(), server.log
        assert server.stop() == 0, server.log
        assert "Traceback" not in server.log, server.log
    finally:
        server.destroy()
