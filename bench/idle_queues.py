"""Does a delivery cost more when 50,000 other queues are registered that nobody reads?"""

import shutil
import tempfile
from pathlib import Path

from candidates import OPTIONS, notice
from columns import Figures, alternate_runs, print_columns, rounds_of_servers
from load import Target, generate
from over_http import CPU, RATE
from processes import free_port, serving
from talking import Talk
from users import serve_command, write_users

CLIENTS = 1000
OWNERS = 500
QUEUES_EACH = 100
"""Fewer than `queues.max_per_user` may ask for."""


def main(*, rounds: int) -> None:
    """Measures and prints. The state with the idle queues is made once, and each run starts from a copy."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder)
        write_users(prepared, CLIENTS + OWNERS)
        _register_idle(prepared)
        with_others, without = f"with {OWNERS * QUEUES_EACH:,} other queues", "without"
        found = alternate_runs(
            {
                without: lambda own: _run(own, prepared, keep=False),
                with_others: lambda own: _run(own, prepared, keep=True),
            },
            rounds=rounds_of_servers(rounds),
        )
    print_columns(f"Fan-out to {CLIENTS:,} waiting clients", found, base=without)


def _register_idle(folder: Path) -> None:
    port = free_port()
    with serving(serve_command(port, "log.level=warning"), port=port, folder=folder), Talk(port) as talk:
        for owner in range(CLIENTS + 1, CLIENTS + OWNERS + 1):
            for _ in range(QUEUES_EACH):
                talk.register(owner, event_types='["benchmark"]')


def _run(folder: Path, prepared: Path, *, keep: bool) -> Figures:
    shutil.copy(prepared / "users.toml", folder)
    if keep:
        shutil.copytree(prepared / "state", folder / "state")
    port = free_port()
    with serving(serve_command(port), port=port, folder=folder) as process:
        target = Target(pid=process.pid, port=port, options=OPTIONS)
        body = notice(range(1, CLIENTS + 1))
        found = generate(target, folder, "-n", str(CLIENTS), "-t", "3", body=body)
    return {CPU: found["cpu_us"], RATE: found["rate"]}
