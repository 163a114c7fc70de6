"""One `[[realm]]` or `[[user]]` table of the users file: its values by key, and what is wrong with them."""

from collections.abc import Iterable

# Ids travel as JSON numbers, which JavaScript clients hold exactly only up to here.
LARGEST_ID = 2**53 - 1


class Entry:
    """A table of the file while it is read.

    A value that is missing or wrong is noted as a problem, and something harmless of its type stands in
    for it, so that the rest can be checked too; nothing with a problem is ever used.
    """

    def __init__(self, *, kind: str, number: int, table: object, problems: list[str]) -> None:
        self.label = f"[[{kind}]] number {number}"
        self._problems = problems
        self._table: dict[str, object] = {}
        if isinstance(table, dict):
            self._table = table
        else:
            self.wrong(f"is not a table; write it as [[{kind}]]")

    def wrong(self, what: str) -> None:
        """Notes a problem of this entry."""
        self._problems.append(f"{self.label}: {what}")

    def refuse_others(self, known: Iterable[str]) -> None:
        """Notes each key that is not known."""
        names = tuple(known)
        for key in self._table:
            if key not in names:
                self.wrong(f"unknown key {key!r}; the keys are {', '.join(names)}")

    def identifier(self, key: str) -> int:
        """A required id."""
        value = self._table.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= LARGEST_ID:
            self.wrong(f"{key} {self._state(key)} a whole number from 1 to {LARGEST_ID}")
            return 0
        return value

    def text(self, key: str, *, default: str | None = None) -> str:
        """A string that is not empty, without spaces around; required when there is no default."""
        value = self._table.get(key, default)
        if not isinstance(value, str) or not value.strip():
            self.wrong(f"{key} {self._state(key)} a string that is not empty")
            return ""
        return value.strip()

    def flag(self, key: str) -> bool:
        """True or false; true when left out."""
        value = self._table.get(key, True)
        if not isinstance(value, bool):
            self.wrong(f"{key} must be true or false")
            return True
        return value

    def _state(self, key: str) -> str:
        return "must be" if key in self._table else "is missing: it must be"
