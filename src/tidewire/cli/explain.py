"""`tidewire explain`: what became of an event and why, or what a notice would do."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, BinaryIO

import click

from tidewire.cli.operator import Operator, clock_time, operator_options, print_json, size, table
from tidewire.escaping import escaped

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
    click.echo(table(head, map(_cells, answer["outcomes"])))
    for outcome in answer["outcomes"]:
        if outcome["event"] is not None:
            click.echo(escaped(f"{outcome['queue_id']}: {outcome['event']}"))
    counts = ", ".join(f"{count} {state}" for state, count in answer["counts"].items()) or "nobody"
    click.echo(f"{counts}; users without a queue: {answer['users_without_queue']}")


def _cells(outcome: Mapping[str, Any]) -> tuple[str, ...]:
    names = ("rule", "event_id", "merges_with")
    why, event_id, merges = ("-" if outcome[name] is None else str(outcome[name]) for name in names)
    taken = "-" if outcome["size"] is None else size(outcome["size"])
    client = outcome["client"] or "-"
    state = outcome["state"]
    return (outcome["queue_id"], str(outcome["user_id"]), client, state, why, event_id, merges, taken)
