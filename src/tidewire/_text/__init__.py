"""Text for people: values in error messages, and untrusted text that must not move a terminal's cursor."""

import json

SHOWN_CHARACTERS = 80  # of a wrong value, so that a problem stays one readable line


def show(value: object) -> str:
    """A plain value as TOML would write it, on one line, shortened when long."""
    if isinstance(value, (list, tuple)):
        text = f"[{', '.join(show(item) for item in value)}]"
    elif isinstance(value, (str, bool)):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = str(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."


def escaped(text: str) -> str:
    r"""Writes control, direction-changing and unassigned characters as escapes, such as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def counted(count: int, noun: str) -> str:
    """A number of things, such as `1 queue` or `2,000 queues`; nouns whose plural is more than an `s` are for the caller."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
