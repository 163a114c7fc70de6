"""A plain value as people are shown it, in problems with files and settings."""

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
