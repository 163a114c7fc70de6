"""`tidewire stats` and `tidewire top`: a running server's totals, once or as they change."""

import itertools
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from tidewire.cli.operator import Operator, operator_options, print_json, seconds, size, table
from tidewire.cli.terminal import cut

CLEAR = "\x1b[H\x1b[J"
"""Puts the cursor in the corner and clears what is below."""

RATES = (
    ("delivered", "events put in queues"),
    ("answered", "waiting polls answered"),
    ("parked", "polls that began to wait"),
    ("registered", "queues made"),
    ("encoded", "bodies encoded"),
    ("heartbeats", "heartbeats"),
)
"""Totals that `top` shows as rates."""


@click.command("stats")
@operator_options
def stats_command(*, url: str, secret: str | None, as_json: bool) -> None:
    """Print what a running server has, and its totals since it was started."""
    answer = Operator(url, secret).ask("stats")
    if as_json:
        print_json(answer)
        return
    for line in _totals(answer):
        click.echo(line)


def _totals(stats: Mapping[str, Any]) -> Iterator[str]:
    yield from _now(stats)
    parts = sorted(stats["memory_parts"].items(), key=lambda part: -part[1])
    yield table(("MEMORY", "BYTES"), [(name, size(taken)) for name, taken in parts if taken])
    rows = [(name, str(count)) for name, count in stats["totals"].items()]
    for kind in ("notices", "refused", "removed"):
        rows += [(f"{kind} ({name})", str(count)) for name, count in sorted(stats[kind].items())]
    yield table(("SINCE THE START", "COUNT"), rows)


def _now(stats: Mapping[str, Any]) -> Iterator[str]:
    budget = stats["memory_budget"]
    share = f" of {size(budget)} ({stats['memory_used'] / budget:.0%})" if budget else ""
    yield (
        f"{stats['queues']} queues of {stats['users']} users, {stats['waiting']} polls waiting, "
        f"{stats['offline']} offline"
    )
    yield f"{stats['events']} events held, {size(stats['bytes'])} to send"
    yield f"memory {size(stats['memory_used'])}{share}, {size(stats['memory_trails'])} of it to explain"


@click.command("top")
@operator_options
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    help="Seconds between looks.",
)
@click.option("--count", type=click.IntRange(1), help="How many looks; without a terminal one.")
@click.option("--rows", type=click.IntRange(1, 100), default=10, show_default=True, help="How many queues.")
def top_command(
    *, url: str, secret: str | None, as_json: bool, interval: float, count: int | None, rows: int
) -> None:
    """Watch a running server: rates, memory, and the queues whose oldest event waits for longest.

    On a terminal it goes on until stopped; elsewhere it looks once.
    """
    is_terminal = sys.stdout.isatty() and not as_json
    operator = Operator(url, secret)
    looks = itertools.count() if count is None and is_terminal else range(count or 1)
    before = operator.ask("stats")
    for _ in looks:
        time.sleep(interval)
        after = operator.ask("stats")
        slowest = operator.ask("queues", sort="oldest", limit=rows)
        rates = _rates(before, after)
        if as_json:
            print_json({"rates": rates, "stats": after, "slowest": slowest["queues"]})
        else:
            show = _on_terminal if is_terminal else click.echo
            show("\n".join(_screen(after, rates, slowest)))
        before = after


def _rates(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, float]:
    """What happened a second; of a server that was started anew meanwhile, nothing is negative."""
    passed = max(0.001, after["now"] - before["now"])
    notices = sum(after["notices"].values()) - sum(before["notices"].values())
    totals = {name: after["totals"][name] - before["totals"][name] for name, _ in RATES}
    return {name: max(0.0, count / passed) for name, count in {"notices": notices, **totals}.items()}


def _screen(
    stats: Mapping[str, Any], rates: Mapping[str, float], slowest: Mapping[str, Any]
) -> Iterator[str]:
    yield from _now(stats)
    yield ""
    words = {"notices": "notices", **dict(RATES)}
    yield table(("A SECOND", ""), [(f"{rate:.1f}", words[name]) for name, rate in rates.items()])
    yield ""
    now = slowest["now"]
    rows = [
        (
            row["queue_id"],
            str(row["user_id"]),
            row["client"] or "-",
            str(row["events"]),
            size(row["size"]),
            seconds(now - row["oldest"]),
        )
        for row in slowest["queues"]
        if row["oldest"] is not None
    ]
    yield table(("SLOWEST QUEUES", "USER", "CLIENT", "EVENTS", "SIZE", "OLDEST"), rows)


def _on_terminal(text: str) -> None:
    terminal = shutil.get_terminal_size()
    lines = text.split("\n")[: max(1, terminal.lines - 1)]
    click.echo(CLEAR + "\n".join(cut(line, terminal.columns) for line in lines))
