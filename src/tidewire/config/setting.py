"""One row of the table of settings."""

from dataclasses import dataclass

from tidewire.config.types import Kind, Plain

ENVIRONMENT_PREFIX = "TIDEWIRE_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting.

    Attributes:
        name: the name in messages and for `--set`: `section.key`, after the TOML table it stands in.
        kind: what values it takes.
        default: the plain value it has when nothing sets it.
        meaning: what it does, in one sentence.
        unit: what its number counts; empty when it is no number.
        zero: what 0 means; empty when 0 is nothing special.
        private: whether its value must not be shown, in problems or elsewhere.
    """

    name: str
    kind: Kind
    default: Plain
    meaning: str
    unit: str = ""
    zero: str = ""
    private: bool = False

    @property
    def section(self) -> str:
        """The TOML table it stands in."""
        return self.name.partition(".")[0]

    @property
    def key(self) -> str:
        """Its name within the section."""
        return self.name.partition(".")[2]

    @property
    def environment_name(self) -> str:
        """The environment variable that sets it."""
        return f"{ENVIRONMENT_PREFIX}{self.section.upper()}__{self.key.upper()}"
