"""Escaping: text from outside that is shown to a person can't move the cursor or forge a line."""


def escaped(text: str) -> str:
    r"""Writes control, direction-changing and unassigned characters as escapes, such as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
