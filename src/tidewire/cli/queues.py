"""`tidewire queues` and `tidewire queue`: which queues a running server has, and one of them in full."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from tidewire.cli.operator import (
    Operator,
    clock_time,
    in_path,
    operator_options,
    print_json,
    seconds,
    size,
    table,
)
from tidewire.core.listing import SORTS
from tidewire.escaping import escaped

HEAD = ("QUEUE", "USER", "CLIENT", "EVENTS", "SIZE", "OLDEST", "SEEN", "STATE")


@click.command("queues")
@operator_options
@click.option(
    "--sort", type=click.Choice(list(SORTS)), default="oldest", show_default=True, help="The order."
)
@click.option("--ascending", is_flag=True, help="The smallest first.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
@click.option("--user", "user_id", type=click.IntRange(0), help="Only those of the user with this id.")
@click.option("--realm", "realm_id", type=click.IntRange(0), help="Only those of the realm with this id.")
@click.option("--client", help="Only those of clients with this in their name.")
@click.option("--waiting/--not-waiting", default=None, help="Only those on which a poll waits, or none.")
@click.option("--offline/--not-offline", default=None, help="Only those whose owner counts as gone, or not.")
def queues_command(*, url: str, secret: str | None, as_json: bool, client: str | None, **wanted: Any) -> None:
    """List the queues of a running server.

    Those come first whose oldest event waits for longest.
    """
    answer = Operator(url, secret).ask("queues", client_name=client, **wanted)
    if as_json:
        print_json(answer)
        return
    rows, found = answer["queues"], answer["found"]
    click.echo(table(HEAD, (_cells(row, answer["now"]) for row in rows)))
    if found > len(rows):
        click.echo(f"{len(rows)} of {found} queues; --limit shows more")


def _cells(row: Mapping[str, Any], now: float) -> tuple[str, ...]:
    oldest = row["oldest"]
    return (
        row["queue_id"],
        str(row["user_id"]),
        row["client"] or "-",
        str(row["events"]),
        size(row["size"]),
        "-" if oldest is None else seconds(now - oldest),
        seconds(now - row["last_active"]),
        "waiting" if row["waiting"] else "offline" if row["offline"] else "away",
    )


@click.command("queue")
@operator_options
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Events and steps."
)
@click.option("--payload", is_flag=True, help="Show what its events say.")
@click.argument("queue_id")
def queue_command(
    *, url: str, secret: str | None, as_json: bool, limit: int, payload: bool, queue_id: str
) -> None:
    """Show a queue: what its client asked for, what it holds, and what became of its events of late."""
    answer = Operator(url, secret).ask(f"queues/{in_path(queue_id)}", limit=limit, payload=payload)
    if as_json:
        print_json(answer)
        return
    for line in _lines(answer["queue"], answer["now"]):
        click.echo(escaped(line))


def _lines(queue: Mapping[str, Any], now: float) -> Iterator[str]:
    row = queue["row"]
    yield f"queue         {queue['queue_id']}"
    yield f"owner         user {queue['user_id']} of realm {queue['realm_id']}"
    yield f"client        {queue['client'] or '-'}"
    if row is None:
        yield f"ended         {queue['ended']}, {seconds(now - queue['ended_at'])} ago"
    else:
        state = "waiting" if row["waiting"] else "offline" if row["offline"] else "away"
        yield f"state         {state}, last active {seconds(now - row['last_active'])} ago"
        yield f"holds         {row['events']} events, {size(row['size'])}"
    if row is not None:
        yield from _registered(queue)
    yield f"next id       {queue['next_event_id']}, acknowledged up to {queue['newest_pruned_id']}"
    for event in queue["contents"]:
        shown = "" if event["event"] is None else f"  {event['event']}"
        yield f"  holds {event['id']} {event['type']}, {size(event['size'])}, {event['state']}{shown}"
    for step in queue["timeline"]:
        yield f"  {_step(step)}"


def _registered(queue: Mapping[str, Any]) -> Iterator[str]:
    """What its client registered with; of a queue that ended nobody knows it."""
    types = queue["event_types"]
    yield f"event types   {'all' if types is None else ', '.join(types)}"
    yield f"narrow        {' '.join(':'.join(term) for term in queue['narrow']) or '-'}"
    yield f"public        {'all channels' if queue['all_public_streams'] else 'what names its owner'}"
    yield f"capabilities  {', '.join(queue['capabilities']) or '-'}"
    yield f"idle timeout  {seconds(queue['idle_timeout'])}"


def _step(step: Mapping[str, Any]) -> str:
    parts = [clock_time(step["at"]), step["what"]]
    if step["event_id"] is not None:
        parts.append(f"{step['event_id']}")
    parts += [step[name] for name in ("type",) if step[name]]
    if step["rule"]:
        parts.append(f"by {step['rule']}")
    if step["into"] is not None and step["into"] != step["event_id"]:
        parts.append(f"into {step['into']}")
    parts += [
        f"{word} {clock_time(step[name])}"
        for name, word in (("sent_at", "sent"), ("done_at", "done"))
        if step[name] is not None
    ]
    return " ".join(parts)
