"""Log entries of requests: their names, the port they are written to, and their form for a person."""

from collections.abc import Mapping
from typing import Any, Protocol

from tidewire._text import escaped

REQUEST = "request"


SLOW_REQUEST = "slow request"


class Lines(Protocol):
    """Where the log entries of requests are written."""

    @property
    def structured(self) -> bool:
        """Whether entries are written as they are, and not as lines for a person."""
        ...

    def write(self, entry: Mapping[str, Any]) -> None:
        """Takes an entry."""
        ...

    def write_line(self, line: str) -> None:
        """Takes an entry that is put together already, as a line for a person."""
        ...


def console_line(entry: Mapping[str, Any]) -> str:
    """An entry as a line for a person, its fields in the order of R11.1."""
    waited = f" (lp: {_duration(entry['waited_s'])})" if "waited_s" in entry else ""
    version = f"/{entry['version']}" if "version" in entry else ""
    request = f" {entry['request_id']}" if "request_id" in entry else ""
    line = (
        f"{entry['address']:<15} {entry['method']:<7} {entry['status']:>3} "
        f"{_duration(entry['duration_ms'] / 1000):>5}{waited} {entry['path']}{_extra(entry)} "
        f"({entry['who']} via {entry['client']}{version}){request}"
    )
    return escaped(line)


def _extra(entry: Mapping[str, Any]) -> str:
    """R11.4, R11.5: the queue and the real number of events; of a single one its type."""
    if "queue_id" not in entry:
        return ""
    parts = [entry["queue_id"], str(entry["events"]), *([entry["type"]] if "type" in entry else [])]
    return f" [{'/'.join(parts)}]{' [was connected]' if 'displaced' in entry else ''}"


_MILLISECONDS = tuple(f"{number}ms" for number in range(1001))


def _duration(seconds: float) -> str:
    if 0 <= seconds < 1:
        return _MILLISECONDS[round(seconds * 1000)]
    return f"{seconds:.1f}s" if seconds >= 1 else "0ms"
