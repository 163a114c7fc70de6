"""The rows of the tables: an operation, and a parameter of it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

from tidewire.core.errors import WireError

Schema: TypeAlias = Mapping[str, Any]
"""A JSON Schema."""


class Access(StrEnum):
    """Who may ask; the words head the groups of the reference page."""

    USER = "Public"
    SESSION = "Browser sessions"
    INTERNAL = "Internal"
    OPEN = "Open"


class Parameter(NamedTuple):
    """A parameter.

    Attributes:
        meaning: for a person.
        schema: of its value, with its bounds and its default.
        is_text: the value stands as it is; others are JSON text.
        is_required: it must be given.
        example: a value; None leaves it out of examples.
    """

    name: str
    meaning: str
    schema: Schema
    is_text: bool = False
    is_required: bool = False
    example: Any = None


class Operation(NamedTuple):
    """A method of a path.

    Attributes:
        meaning: the first sentence is its title.
        access: who may ask.
        failures: the errors of its own, beyond those that `access` brings.
        members: members of the successful answer beside those of every one; None when there is none.
        optional: those members that are not always there.
        parameters: in the query string, or in a form if it has one.
        in_path: parameters in the path.
        has_form: parameters may stand in a form, too.
        is_bare: the successful answer is the members alone, without the envelope.
        media: schema of a successful answer that is no JSON, by its media type.
        list_of: the successful answer is a list of these, and nothing else.
        bodies: schemas of the body by media type, when it is no form.
        body_example: a value of the first of them.
    """

    meaning: str
    access: Access
    failures: tuple[type[WireError], ...] = ()
    members: Mapping[str, Schema] | None = None
    optional: frozenset[str] = frozenset()
    parameters: tuple[Parameter, ...] = ()
    in_path: tuple[Parameter, ...] = ()
    has_form: bool = True
    is_bare: bool = False
    list_of: Schema | None = None
    media: Mapping[str, Schema] | None = None
    bodies: Mapping[str, Schema] | None = None
    body_example: Any = None

    @property
    def title(self) -> str:
        """What it is in one sentence."""
        return self.meaning.partition(".")[0]
