"""The pages are built as a reader needs them: they say first what they answer, and name code that is there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.markdown import prose, row_terms
from tidewire.storage.recovery import VERSION
from tidewire.storage.segments import segment_name
from tidewire.storage.snapshots import RETIRED, snapshot_name

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
INCLUDED = {
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "security.md": "SECURITY.md",
}
PAGES = sorted(
    page.relative_to(DOCS)
    for page in DOCS.rglob("*.md")
    if "_build" not in page.parts and page.name not in INCLUDED
)
HOPS = 9


def read(name: str | Path) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def names_in_source() -> Iterator[str]:
    """The packages and modules, and the classes and functions in them."""
    for file in (ROOT / "src").rglob("*.py"):
        yield file.stem
        yield file.parent.name
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield node.name


@pytest.mark.parametrize("name", PAGES, ids=str)
def test_a_page_says_first_what_it_is_about(name: Path) -> None:
    lines = [line for line in prose(read(name)) if line.strip() and not line.startswith(("# ", "<!--"))]

    assert lines
    assert lines[0][0] not in "#|-<"


def test_the_hops_of_an_event_are_functions_that_there_are() -> None:
    hops = re.findall(r"^  ([1-9]) ([\w/.]+)", read("explanation/life-of-an-event.md"), re.MULTILINE)
    known = set(names_in_source())

    assert [int(number) for number, _ in hops] == list(range(1, HOPS + 1))
    assert [name for _, name in hops if re.split(r"[/.]", name.rstrip("/"))[-1] not in known] == []


def test_the_glossary_has_each_word_once_and_in_order() -> None:
    lines = [line for line in prose(read("glossary.md")) if line.startswith("| *")]
    words = [line.split("*")[1].casefold() for line in lines]

    assert words == sorted(set(words))


NAMED = [
    "Acceptance",
    "AnonymousNotices",
    "ArrivedUser",
    "AuthBackend",
    "AuthChain",
    "AuthGate",
    "AuthResult",
    "BackgroundRunner",
    "Candidates",
    "Dispatch",
    "Distribution",
    "DurabilityGate",
    "Engine",
    "Exchange",
    "ExplainedQueue",
    "Explanation",
    "FaultPoints",
    "Group",
    "HeldResponse",
    "HistoryStore",
    "LimitEnforcer",
    "MultiShardPublish",
    "NeedsBackend",
    "NoticeFanOut",
    "NotificationDecision",
    "PartialDelivery",
    "PeerPool",
    "Peers",
    "PendingNotification",
    "PollRecorder",
    "PollResponder",
    "Producer",
    "PublishAck",
    "PublishOutcome",
    "QueueHistory",
    "QueuePolled",
    "RecoveryReport",
    "Relocation",
    "Relocations",
    "RememberedHead",
    "RememberedPoll",
    "RequestFramer",
    "RequestInfo",
    "ServerContext",
    "ServerStatus",
    "Shape",
    "Shard",
    "ShardMonitor",
    "SnapshotScheduler",
    "StepKind",
    "Survey",
    "Telemetry",
    "Transport",
    "UserLocation",
    "UserLocator",
    "UserNoticeLog",
    "Waiter",
]
"""The classes that a reader of the code meets first and whose names have a sense of their own."""


def test_the_glossary_has_the_names_of_the_code() -> None:
    """Each package and each main class, and no class that there isn't."""
    source = ROOT / "src" / "tidewire"
    packages = {path.parent.name for path in source.glob("[a-z]*/__init__.py")}
    parts = {path.parent.name for path in (source / "core").glob("*/__init__.py")}
    terms = set(re.findall(r"`(\w+)`", read("glossary.md")))
    classes = {term for term in terms if re.match("[A-Z]", term)}

    assert (packages | parts) - terms == set()
    assert classes == set(NAMED)
    assert classes - set(names_in_source()) == set()


def test_pages_name_the_state_files_that_there_are() -> None:
    """The how-to lists some, the reference all; `tidewire doctor` knows them by the same names."""
    files = row_terms(read("howto/run-as-a-service.md"))
    known = row_terms(read("reference/state-directory.md"))

    assert {"lock", VERSION, "secret", segment_name(7), snapshot_name(1234)} == files
    assert files | {RETIRED} <= known


def test_no_page_says_that_something_there_is_not_yet() -> None:
    """What is missing is in the changelog's plans or nowhere: such a list grows old unseen."""
    unfinished = re.compile(
        r"not there yet|not yet implemented|not implemented yet|coming soon", re.IGNORECASE
    )
    assert [str(name) for name in PAGES if unfinished.search(read(name))] == []


@pytest.mark.parametrize("durability", ["none", "process", "power"])
def test_each_durability_is_explained(durability: str) -> None:
    """After a crash, after a loss of power, and as a choice."""
    page = read("explanation/what-a-crash-costs.md")
    choices = {code for line in prose(page) if line.startswith("| ") for code in re.findall(r"`(\w+)`", line)}

    assert len(re.findall(rf"^- With `{durability}`", page, re.MULTILINE)) == 2
    assert durability in choices


def test_the_errors_page_has_no_code_that_there_is_not() -> None:
    source = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "src").rglob("*.py"))
    codes = {term for term in row_terms(read("reference/errors.md")) if re.fullmatch(r"[A-Z_]{5,}", term)}

    assert {code for code in codes if f'"{code}"' not in source} == set()


def test_the_events_that_the_server_makes_itself_are_in_the_reference() -> None:
    made = set()
    for file in (ROOT / "src" / "tidewire").rglob("*.py"):
        # The demo is an application, and has types of its own, and Django is one; those of a schema are no event's.
        if not {"cli", "contrib", "openapi"} & set(file.parts):
            made |= set(re.findall(r'\{\s*"type": "(\w+)"', file.read_text(encoding="utf-8")))

    assert {"heartbeat", "restart"} <= made
    assert made - row_terms(read("reference/events.md")) == set()


def test_the_rules_that_are_cited_can_be_looked_up() -> None:
    """Each number in the source and in the console is on the page, and the page has none that nobody cites."""
    number = re.compile(r"\b(R\d+\.\d+|D-?\d+)\b")
    files = [
        path
        for path in (ROOT / "src").rglob("*")
        if path.suffix in {".py", ".js"} and "vendor" not in path.parts
    ]
    cited = {rule for path in files for rule in number.findall(path.read_text(encoding="utf-8"))}
    rows = re.findall(r"^\| (\S+) \| \S", read("reference/behaviour.md"), re.MULTILINE)
    rules = [row for row in rows if number.fullmatch(row)]

    assert len(cited) > 100
    assert len(rules) == len(set(rules))
    assert set(rules) == cited
