"""The page of what clients receive, made by running the core on the sample notices.

`make reference` writes it.
"""

import json
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from reference.samples import Clients, Outcome, Sample, by_client, samples

WIDTH = 110
"""JSON that is longer is spread over lines."""

INTRODUCTION = """\
# What clients receive

<!-- Made by `make reference`; change `src/tidewire/reference/samples.jsonl` instead. -->

For each type of event, what comes of a notice in the queues of different clients. The examples are sample notices
that were published to a real queue; nothing on this page is written by hand but the words around them.

Clients differ by their [capabilities](capabilities.md). Where a capability is not named, it makes no difference. *As
published* means: the event of the notice with the queue's `id` added. Rules that refuse are explained in
[Events](events.md#why-an-event-is-not-delivered).

## At a glance

| Type | What happened | Clients | Receive |
| --- | --- | --- | --- |"""

PLAIN = """\
## Types that are the same for every client

Whatever its capabilities, a client gets these as published.

| Type | Example |
| --- | --- |"""


class Told(NamedTuple):
    """One sample and what came of it, for each kind of client that is told apart."""

    sample: Sample
    found: dict[str, Outcome]

    @property
    def is_plain(self) -> bool:
        """Whether everybody gets it as published."""
        return all(_is_as_published(self.sample, found) for found in self.found.values())


def render() -> str:
    """The page: a table of all differences, a section for each type that has some, a table of the other types."""
    glance: list[str] = []
    sections: list[str] = []
    plain: list[str] = []
    for kind, group in groupby(samples(), key=lambda sample: sample.kind):
        told = [Told(sample, _by_words(*by_client(sample))) for sample in group]
        if all(each.is_plain for each in told):
            plain += [f"| `{kind}` | `{json.dumps(each.sample.event)}` |" for each in told]
        else:
            glance += [row for each in told for row in _rows(each)]
            sections += [f"## {kind}\n", *map(_section, told)]
    return "\n".join([INTRODUCTION, *glance, "", *sections, PLAIN, *plain, ""])


def _by_words(names: list[str], clients: Clients) -> dict[str, Outcome]:
    return {
        _who(names, [having for having, each in clients.items() if each == found]): found
        for found in dict.fromkeys(clients.values())
    }


def _rows(told: Told) -> list[str]:
    return [
        f"| `{told.sample.kind}` | {told.sample.about} | {who} | {_brief(told.sample, found)} |"
        for who, found in told.found.items()
    ]


def _brief(sample: Sample, found: Outcome) -> str:
    if _is_as_published(sample, found) or not found.events:
        return _in_words(sample, found)
    return "in another form" if len(found.events) == 1 else f"as {len(found.events)} events"


def _section(told: Told) -> str:
    parts = [f"### {told.sample.about}\n", f"The notice's event:\n\n{_block(_show(told.sample.event))}\n"]
    details = [user for user in told.sample.users if isinstance(user, dict)]
    if details:
        parts.append(f"Its users: `{json.dumps(details)}`\n")
    parts += [f"Clients {who}:{_what(told.sample, found)}\n" for who, found in told.found.items()]
    return "\n".join(parts)


def _what(sample: Sample, found: Outcome) -> str:
    if _is_as_published(sample, found) or not found.events:
        return f" {_in_words(sample, found)}."
    return "\n\n" + _block("\n".join(_show(json.loads(event)) for event in found.events))


def _in_words(sample: Sample, found: Outcome) -> str:
    return "as published" if _is_as_published(sample, found) else f"nothing; refused by `{found.refusal}`"


def _is_as_published(sample: Sample, found: Outcome) -> bool:
    return [json.loads(event) for event in found.events] == [{**sample.event, "id": 0}]


def _who(names: list[str], group: list[tuple[bool, ...]]) -> str:
    """In words, which clients these are; what makes no difference among them is left out."""
    conditions = dict.fromkeys(_conditions(names, group))
    return "of every kind" if "" in conditions else "; or ".join(conditions)


def _conditions(names: list[str], group: list[tuple[bool, ...]]) -> Iterator[str]:
    members = set(group)
    decisive = [
        position
        for position in range(len(names))
        if any(_turned(having, position) not in members for having in members)
    ]
    for having in group:
        yield ", ".join(
            f"{'with' if having[position] else 'without'} `{names[position]}`" for position in decisive
        )


def _turned(having: tuple[bool, ...], position: int) -> tuple[bool, ...]:
    return (*having[:position], not having[position], *having[position + 1 :])


def _block(text: str) -> str:
    return f"```json\n{text}\n```"


def _show(value: object, indent: str = "") -> str:
    """JSON on one line if it fits, else with each member on a line of its own."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= WIDTH or not isinstance(value, dict):
        return line
    deeper = indent + "  "
    members = [f"{deeper}{json.dumps(key)}: {_show(inner, deeper)}" for key, inner in value.items()]
    return "{\n" + ",\n".join(members) + f"\n{indent}}}"
