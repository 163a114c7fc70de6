"""What can be wrong with a configuration, and the one error that carries all of it."""

from collections.abc import Iterable
from dataclasses import dataclass

from tidewire import TidewireError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        source: where it stands: a file's path, an environment variable's name, or `--set`.
        key: the setting, as `section.key`; empty when the source as a whole can't be read.
        expected: what would be right.
        found: what stands there instead; never the value of a private setting.
    """

    source: str
    key: str
    expected: str
    found: str

    def __str__(self) -> str:
        where = f"{self.source}: {self.key}" if self.key else self.source
        return f"{where}: found {self.found}; expected {self.expected}"


class ConfigError(TidewireError):
    """The configuration can't be used; nothing was started.

    Its text has one line a problem.

    Attributes:
        problems: everything that is wrong, so that one run is enough to put it right.
    """

    code = "CONFIG_INVALID"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
