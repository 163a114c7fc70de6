"""The load generator: waiting clients and one publisher, in C (`tools/fanout.c`), and what it found."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from building import built
from processes import LOAD_CORE, pinned

EVENT = (
    '{"type":"benchmark","message":{"id":{seq},"sender_id":11,"sender_full_name":"Iago Example",'
    '"sender_email":"user11@example.com","type":"stream","stream_id":7,"display_recipient":"design",'
    '"subject":"tidal patterns","timestamp":1732400000,"client":"website","content_type":"text/html",'
    '"ts":{ts},"content":"<p>{pad}</p>"},"flags":[]}'
)
"""Some 700 bytes; the generator fills in a number, the time, and 380 bytes of text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A server that runs, and how the generator speaks to it."""

    pid: int
    port: int
    options: Sequence[str]


class LoadFailed(Exception):
    """The generator could not do its work, and says why."""


def generate(target: Target, folder: Path, *options: str, body: str = EVENT) -> Mapping[str, Any]:
    """Runs the generator and returns its figures (`fanout --help` says what they are).

    Raises:
        LoadFailed: it ended early, events were lost, or requests failed.
        Missing: it can't be built.
    """
    (folder / "body").write_text(body)
    command: list[str | Path] = [
        built("fanout"),
        "--port",
        str(target.port),
        "--pid",
        str(target.pid),
        "--children",
    ]
    command += ["--pub-body", f"@{folder / 'body'}", *target.options, *options]
    done = subprocess.run(pinned(command, LOAD_CORE), capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if done.returncode:
        raise LoadFailed(f"{done.stderr.strip()} {done.stdout.strip()}")
    figures = json.loads(done.stdout)
    assert isinstance(figures, dict)
    return figures
