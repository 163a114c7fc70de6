"""Commands that look into a running server: `queues`, `queue`, `explain`, `stats`, `top` and `loglevel`."""

import contextlib
import itertools
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, BinaryIO
from urllib.parse import urlencode

import click
import msgspec

from tidewire import TidewireError
from tidewire._http import BadUrl, Connection, error_of
from tidewire._text import counted, escaped
from tidewire.cli.output import (
    Operator,
    clock_time,
    cut,
    in_path,
    operator_options,
    print_json,
    seconds,
    size,
    table,
)
from tidewire.core.inspection.queue_list import SORTS
from tidewire.observability.log_level import LEVELS

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
    click.echo(table(HEAD, (_queue_cells(row, answer["now"]) for row in rows)))
    if found > len(rows):
        click.echo(f"{len(rows):,} of {counted(found, 'queue')}; --limit shows more")


def _queue_cells(row: Mapping[str, Any], now: float) -> tuple[str, ...]:
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
        yield f"holds         {counted(row['events'], 'event')}, {size(row['size'])}"
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


SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "waiting": "it is in the queue, and was not sent yet",
        "sent": "it was sent, and the client has not acknowledged it",
        "acknowledged": "the client acknowledged it",
        "merged": "it was merged with others",
        "dropped": "the queue ended before its client acknowledged it",
        "refused": "the queue does not accept it",
        "failed": "delivering it failed; the server's log says how",
        "not_addressed": "the notice was not for this queue's user",
        "other_realm": "the notice was for another realm",
        "too_early": "the notice came before the queue was there",
        "too_late": "the notice came after the queue had ended",
        "not_yet": "the queue has given out no such id yet",
        "unknown": "nothing is known of that, or no longer",
    }
)
"""What each state means."""


@click.command("explain")
@operator_options
@click.option("--user", "user_id", type=click.IntRange(0), help="What the queues of this user were offered.")
@click.option("--last", type=click.IntRange(1, 1000), default=20, show_default=True, help="How much of it.")
@click.option("--payload", is_flag=True, help="Show what the events say.")
@click.option(
    "--dry-run", type=click.File("rb"), metavar="FILE", help="What the notice in FILE (-: input) would do."
)
@click.argument("queue", required=False)
@click.argument("event", required=False)
def explain_command(
    *,
    url: str,
    secret: str | None,
    as_json: bool,
    user_id: int | None,
    last: int,
    payload: bool,
    dry_run: BinaryIO | None,
    queue: str | None,
    event: str | None,
) -> None:
    """Say what became of EVENT in QUEUE, and by which rule.

    EVENT is an event's id in the queue, or the id that its publisher gave a notice. Without it, or with --user,
    the last events are explained.
    """
    if sum(given is not None for given in (queue, user_id, dry_run)) != 1:
        raise click.UsageError("Give one of QUEUE, --user and --dry-run")
    operator = Operator(url, secret)
    if dry_run is not None:
        answer = operator.ask("explain/dry-run", dry_run.read(), limit=1000, payload=payload)
        show = _print_outcomes
    else:
        is_id = event is not None and event.isascii() and event.isdigit()
        answer = operator.ask(
            "explain",
            queue_id=queue,
            event_id=int(event or 0) if is_id else None,
            notice_id=None if is_id else event,
            user_id=user_id,
            last=last if event is None else None,
            payload=payload,
        )
        show = _print_stories
    (print_json if as_json else show)(answer)


def _print_stories(answer: Mapping[str, Any]) -> None:
    for story in answer["stories"]:
        click.echo(escaped(_sentence(story)))
        if story["event"] is not None:
            click.echo(escaped(f"  {story['event']}"))
    if not answer["stories"]:
        click.echo("Nothing was offered, as far as the server knows.")


def _sentence(story: Mapping[str, Any]) -> str:
    """One line: when, where, what, and what became of it."""
    what = story["type"] or "event"
    event = what if story["event_id"] is None else f"{what} {story['event_id']}"
    said = SENTENCES[story["state"]]
    if story["rule"]:
        said += f" (rule {story['rule']})"
    parts = [f"{clock_time(story['at'])} {story['queue_id']} {event}: {story['state']}: {said}"]
    if story["merged_into"] is not None:
        parts.append(f"merged into {story['merged_into']}")
    if story["merged"]:
        parts.append(f"stands for {', '.join(map(str, story['merged']))} too")
    parts += [
        f"{word} {clock_time(story[name])}"
        for name, word in (("sent_at", "last sent"), ("acknowledged_at", "acknowledged"))
        if story[name] is not None
    ]
    if story["size"] is not None:
        parts.append(f"{size(story['size'])}, form {story['variant']}")
    if story["ended"] is not None:
        parts.append(f"the queue ended {clock_time(story['ended_at'])} ({story['ended']})")
    return "; ".join(parts)


def _print_outcomes(answer: Mapping[str, Any]) -> None:
    if answer["repeated"]:
        click.echo("The notice was taken before: publishing it again does nothing.")
        return
    head = ("QUEUE", "USER", "CLIENT", "OUTCOME", "WHY", "ID", "MERGES WITH", "SIZE")
    click.echo(table(head, map(_story_cells, answer["outcomes"])))
    for outcome in answer["outcomes"]:
        if outcome["event"] is not None:
            click.echo(escaped(f"{outcome['queue_id']}: {outcome['event']}"))
    counts = ", ".join(f"{count} {state}" for state, count in answer["counts"].items()) or "nobody"
    click.echo(f"{counts}; users without a queue: {answer['users_without_queue']}")


def _story_cells(outcome: Mapping[str, Any]) -> tuple[str, ...]:
    names = ("rule", "event_id", "merges_with")
    why, event_id, merges = ("-" if outcome[name] is None else str(outcome[name]) for name in names)
    taken = "-" if outcome["size"] is None else size(outcome["size"])
    client = outcome["client"] or "-"
    state = outcome["state"]
    return (outcome["queue_id"], str(outcome["user_id"]), client, state, why, event_id, merges, taken)


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
        f"{counted(stats['queues'], 'queue')} of {counted(stats['users'], 'user')}, {counted(stats['waiting'], 'poll')} waiting, "
        f"{stats['offline']} offline"
    )
    yield f"{counted(stats['events'], 'event')} held, {size(stats['bytes'])} to send"
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


PATH = "/api/internal/loglevel"


OK = 200


PATIENCE = 10.0
"""Seconds in which the server must answer."""


class LogLevelRefused(TidewireError):
    """The server did not say what its level is."""

    code = "LOG_LEVEL_REFUSED"


@click.command("loglevel")
@click.option(
    "--url", default="http://127.0.0.1:9800", envvar="TIDEWIRE_URL", show_default=True, help="The server."
)
@click.option("--secret", envvar="TIDEWIRE_SECRET", help="The server's secret [env: TIDEWIRE_SECRET].")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.argument("level", type=click.Choice(LEVELS), required=False)
def loglevel_command(url: str, secret: str | None, level: str | None, as_json: bool) -> None:
    """Say what a running server logs, or have it log LEVEL and what is more important until it stops."""
    if not secret:
        raise click.UsageError(
            "No secret: give --secret or set TIDEWIRE_SECRET; the server has it in its settings, "
            "or in the file that it made in its state directory."
        )
    before, now = _exchange(url, secret, level)
    if as_json:
        click.echo(msgspec.json.encode({"level": now, "before": before}))
    else:
        click.echo(now if level is None else f"{now} (before: {before})")


def _exchange(url: str, secret: str, level: str | None) -> tuple[str, str]:
    """The level before and now."""
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise click.BadParameter("must be printable ASCII without spaces", param_hint="--secret")
    try:
        connection = Connection(url, headers={"Authorization": f"Bearer {secret}"})
    except BadUrl as error:
        raise click.BadParameter(str(error), param_hint="--url") from error
    with contextlib.closing(connection):
        answer = connection.request(
            "POST",
            PATH,
            timeout=PATIENCE,
            body=urlencode({} if level is None else {"level": level}).encode(),
            content_type="application/x-www-form-urlencoded",
        )
    if answer.status != OK or answer.json is None or not {"before", "level"} <= answer.json.keys():
        code, sentence, _ = error_of(answer)
        raise LogLevelRefused(f"{sentence} ({code})")
    return str(answer.json["before"]), str(answer.json["level"])
