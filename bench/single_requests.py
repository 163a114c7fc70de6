"""What single requests cost the server: a poll with nothing to say, a registration, publishing one by one and in batches."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from candidates import tidewire
from columns import Figures, print_columns, rounds_of_servers
from load import Target
from processes import cpu_seconds
from talking import PUBLISHER, Talk, as_user, poll_path

REQUESTS = 500
"""Of each kind in one round."""
BATCH = 100
NOTICES = "/api/internal/notices"

Work = Callable[[], int]
"""Some requests; returns how many units they were."""


def main(*, rounds: int) -> None:
    """Measures and prints."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        target = stack.enter_context(tidewire().start(folder, 2))
        talk = stack.enter_context(Talk(target.port))
        found: dict[str, list[Figures]] = {name: [] for name in _works(talk)}
        for number in range(rounds_of_servers(rounds) + 1):
            for name, work in _works(talk).items():
                figures = _measured(target, work)
                if number:  # the first round warms up
                    found[name].append(figures)
    print_columns("Single requests, one after the other on one connection", found)


def _measured(target: Target, work: Work) -> Figures:
    before = cpu_seconds(target.pid)
    units = work()
    return {"us of CPU each": (cpu_seconds(target.pid) - before) * 1e6 / units}


def _works(talk: Talk) -> Mapping[str, Work]:
    return {
        "poll with nothing to say (dont_block)": lambda: _polls(talk),
        "register, and delete again": lambda: _registrations(talk),
        "publish, one notice a request": lambda: _publish(talk, 1),
        f"publish, {BATCH} notices a request, per notice": lambda: _publish(talk, BATCH),
    }


@contextmanager
def _queue(talk: Talk, user: int) -> Iterator[str]:
    queue_id = talk.register(user)
    yield queue_id
    talk.ask("DELETE", f"/api/v1/events?queue_id={queue_id}", as_user(user))


def _polls(talk: Talk) -> int:
    with _queue(talk, 1) as queue_id:
        path, headers = poll_path(queue_id, -1, block=False), as_user(1)
        for _ in range(REQUESTS):
            talk.ask("GET", path, headers)
    return REQUESTS


def _registrations(talk: Talk) -> int:
    for _ in range(REQUESTS):
        with _queue(talk, 1):
            pass
    return REQUESTS


def _publish(talk: Talk, batch: int) -> int:
    """To a user with one queue that nobody reads."""
    text = "x" * 600
    notices = [
        {"event": {"type": "benchmark", "text": text, "number": number}, "users": [2]}
        for number in range(batch)
    ]
    body = json.dumps(notices)
    with _queue(talk, 2):
        for _ in range(REQUESTS):
            talk.ask("POST", NOTICES, PUBLISHER, body)
    return REQUESTS * batch
