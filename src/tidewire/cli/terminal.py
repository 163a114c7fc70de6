"""Text for a terminal, cut to a width in columns."""

import unicodedata

ELLIPSIS = "…"


def cut(text: str, columns: int) -> str:
    """Cuts text so that it fills at most so many columns, its last one showing that something is missing."""
    used, end = 0, 0
    for position, character in enumerate(text):
        used += _columns(character)
        if used > columns:
            return text[:end] + ELLIPSIS
        if used < columns:
            end = position + 1
    return text


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
