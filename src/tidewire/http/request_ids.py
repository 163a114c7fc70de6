"""Ids of requests: a short one for each, so that entries of the log that belong together can be found."""

import itertools
import secrets


class RequestIds:
    """Numbers requests; a number becomes an id only where it is written."""

    __slots__ = ("_numbers", "start")

    def __init__(self, process: str | None = None) -> None:
        """Takes what tells the ids of this process from those of others; by default something made up."""
        self.start = f"{process or secrets.token_hex(2)}-"
        """What all ids of this process begin with; the number in hexadecimal follows."""
        self._numbers = itertools.count(1)

    def take(self) -> int:
        """The number of one more request."""
        return next(self._numbers)

    def shown(self, number: int) -> str:
        """The id of the request with this number."""
        return f"{self.start}{number:x}"
