"""The generated pages are what the tables say and what running the samples gives."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from reference import capabilities, event_types, metrics, openapi, received
from reference.__main__ import write_pages
from reference.event_types import EVENT_TYPES, SERVERS_OWN
from reference.samples import by_client, outcome, samples, what_matters
from support.markdown import row_terms, section
from tidewire.core.delivery.processors import PROCESSORS, WITHHOLDINGS
from tidewire.core.delivery.processors.message import MIRROR_LOOP
from tidewire.core.event_types import EVENT_TYPE_NAMES
from tidewire.core.events.acceptance import RULES
from tidewire.core.events.capabilities import CAPABILITY_NAMES, CHANGES, Capabilities
from tidewire.observability.request_entries import SLOW_REQUEST

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
MODULES = {
    "capabilities.md": capabilities,
    "event-types.md": event_types,
    "metrics.md": metrics,
    "openapi.md": openapi,
    "what-clients-receive.md": received,
}
KINDS = {row.kind for row in EVENT_TYPES}
INTERNAL = {"cleanup_queue", "restore_user", "revoke_user"}
"""Types that no client ever gets."""

NOT_YET = {"message", "update_message"} - set(PROCESSORS)
"""Types whose processors this version does not have."""


ENTRY = re.compile(r"""log\.(?:debug|info|warning|error)\(\s*(?:"([^"\n]+)"|([A-Z][A-Z_]+)\b)""")
"""How an entry of the log is written: with its name, or a constant that is its name."""

SOURCES = Path(__file__).parents[2] / "src" / "tidewire"


def test_every_entry_of_the_log_is_described() -> None:
    page = (REFERENCE / "log.md").read_text()
    # A publisher is part of an application and writes sentences in that one's log.
    written = {
        name or constant
        for path in SOURCES.rglob("*.py")
        if path.parent.name != "publisher"
        for name, constant in ENTRY.findall(path.read_text())
    }
    assert len(written) > 25
    # The line of a request has a name in the JSON form only.
    written = written - {"REQUEST", "SLOW_REQUEST"} | {SLOW_REQUEST}
    assert [name for name in sorted(written) if f"`{name}`" not in page] == []


@pytest.mark.parametrize("name", MODULES)
def test_the_committed_page_is_the_generated_one(name: str) -> None:
    """When this fails: make reference."""
    assert (REFERENCE / name).read_text() == MODULES[name].render()


@pytest.mark.slow
def test_make_reference_writes_every_generated_page(tmp_path: Path) -> None:
    write_pages(tmp_path)
    assert {page.name for page in tmp_path.iterdir()} == {*MODULES, "settings.md"}
    for page in tmp_path.iterdir():
        assert page.read_text(encoding="utf-8") == (REFERENCE / page.name).read_text(encoding="utf-8")


def test_every_capability_has_a_row() -> None:
    assert row_terms(capabilities.render()) == set(CAPABILITY_NAMES)


def test_every_type_that_the_source_knows_is_in_the_table_of_types() -> None:
    known = {*PROCESSORS, *RULES, *(kind for kinds in CHANGES.values() for kind in kinds)} - INTERNAL
    assert known - KINDS == set()
    assert row_terms(event_types.render()) == KINDS


def test_every_type_is_counted_by_its_name() -> None:
    """What is new in the table of types must not count as `other`."""
    assert {*KINDS, *INTERNAL} == EVENT_TYPE_NAMES


def test_the_table_names_each_type_with_an_operation_once() -> None:
    pairs = [(row.kind, op) for row in EVENT_TYPES for op in row.ops or ("",)]
    assert len(pairs) == len(set(pairs))


def test_every_type_that_is_published_has_a_sample_of_its_form() -> None:
    ops: dict[str, set[str | None]] = defaultdict(set)
    for row in EVENT_TYPES:
        ops[row.kind].update(row.ops or {None})
    assert {sample.kind for sample in samples()} == KINDS - SERVERS_OWN
    assert [sample.event for sample in samples() if sample.event.get("op") not in ops[sample.kind]] == []


def test_the_server_s_own_types_are_on_the_events_page() -> None:
    page = (REFERENCE / "events.md").read_text()
    assert row_terms(section(page, "Events of the server's own")) == SERVERS_OWN


def test_each_capability_decides_about_just_the_types_that_its_row_names_r3_13() -> None:
    shown: dict[str, set[str]] = {name: set() for name in CAPABILITY_NAMES}
    for sample in samples():
        for name in what_matters(sample):
            shown[name].add(sample.kind)
    assert shown == {name: set(kinds) - NOT_YET for name, kinds in CHANGES.items()}


def test_the_samples_show_every_rule_by_which_a_processor_keeps_an_event_from_a_queue() -> None:
    refusals = {found.refusal for sample in samples() for found in by_client(sample)[1].values()}
    # The mirror's rule goes by the client's name, not by what it can handle.
    assert refusals >= {*WITHHOLDINGS} - {MIRROR_LOOP}


def test_a_client_with_every_capability_gets_or_is_refused_each_sample() -> None:
    everything = Capabilities(**dict.fromkeys(CAPABILITY_NAMES, True))
    for sample in samples():
        found = outcome(sample, everything)
        assert bool(found.events) is (found.refusal is None)
