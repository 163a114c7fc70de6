"""Reads the parts of a Markdown page that tests ask about: headings, table rows, links, marked code blocks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"^```(?P<info>.*)$")
_DIRECTIVE = re.compile(r"^\{(?P<name>[\w-]+)\}(?P<argument>.*)$")
_HEADING = re.compile(r"^(?P<marks>#{1,6}) +(?P<text>.+?) *$")
_MARKER = re.compile(r"^<!-- (?P<verb>\w+) (?P<name>[\w./-]+) -->$")
_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced code block with a marker above it: what is to be done with it, and its name."""

    verb: str
    name: str
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Fenced:
    """A fenced code block: the directive that it is, if it is one, and what follows the directive's name."""

    directive: str
    argument: str
    text: str


def prose(page: str) -> Iterator[str]:
    """The lines outside of code blocks."""
    is_code = False
    for line in page.splitlines():
        if _FENCE.match(line):
            is_code = not is_code
        elif not is_code:
            yield line


def headings(page: str) -> list[str]:
    """The texts of all headings."""
    return [match["text"] for line in prose(page) if (match := _HEADING.match(line))]


def section(page: str, heading: str) -> str:
    """What stands under a heading, up to the next of its level or above; code blocks are left out."""
    lines: list[str] = []
    level = 0
    for line in prose(page):
        match = _HEADING.match(line)
        if match and level and len(match["marks"]) <= level:
            break
        if level:
            lines.append(line)
        elif match and match["text"] == heading:
            level = len(match["marks"])
    if not level:
        raise LookupError(f"the page has no heading {heading!r}")
    return "\n".join(lines)


def row_terms(page: str) -> set[str]:
    """The code spans in the first cells of all table rows."""
    cells = (line.split("|")[1] for line in prose(page) if line.startswith("|"))
    return {term for cell in cells for term in _CODE.findall(cell)}


def links(page: str) -> list[str]:
    """The targets of all links."""
    return [target for line in prose(page) for target in _LINK.findall(line)]


def anchors(page: str) -> set[str]:
    """The fragments by which the page's headings can be linked to."""
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings(page)}


def marked_blocks(page: str) -> list[Block]:
    """The code blocks that have a marker, in order."""
    blocks: list[Block] = []
    marker: re.Match[str] | None = None
    lines = iter(page.splitlines())
    for line in lines:
        if fence := _FENCE.match(line):
            text = "\n".join(_until_fence(lines))
            if marker:
                blocks.append(Block(marker["verb"], marker["name"], fence["info"].strip(), text))
            marker = None
        elif line.strip():
            marker = _MARKER.match(line)
    return blocks


def code_blocks(page: str) -> list[Fenced]:
    """All fenced blocks."""
    blocks: list[Fenced] = []
    lines = iter(page.splitlines())
    for line in lines:
        if fence := _FENCE.match(line):
            directive = _DIRECTIVE.match(fence["info"])
            name, argument = (directive["name"], directive["argument"].strip()) if directive else ("", "")
            blocks.append(Fenced(name, argument, "\n".join(_until_fence(lines))))
    return blocks


def _until_fence(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if _FENCE.match(line):
            return
        yield line
