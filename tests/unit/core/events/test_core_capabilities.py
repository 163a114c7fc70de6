"""The table of capabilities (R2.1, R3.13)."""

from msgspec.structs import fields

from tidewire.core.events.capabilities import (
    CAPABILITY_NAMES,
    CHANGES,
    DESCRIPTIONS,
    NOT_DECLARED,
    TOP_LEVEL,
    Capabilities,
)


def test_every_default_is_off_but_the_one_that_is_not_declared_r2_1() -> None:
    switched_on = {name for name in CAPABILITY_NAMES if getattr(Capabilities(), name)}
    assert switched_on == {"pronouns_field_type_supported"} == set(NOT_DECLARED)


def test_every_row_is_a_boolean_with_a_description() -> None:
    for row in fields(Capabilities):
        assert row.type.__origin__ is bool
        assert row.type.__metadata__[0].description.endswith((".", ")."))


def test_the_names_that_are_parameters_of_their_own_are_rows_r6_50() -> None:
    assert set(CAPABILITY_NAMES) > TOP_LEVEL


def test_every_row_says_what_it_means_and_what_it_decides_about_r3_13() -> None:
    assert set(DESCRIPTIONS) == set(CHANGES) == set(CAPABILITY_NAMES)
    assert [name for name in CAPABILITY_NAMES if not CHANGES[name]] == ["linkifier_url_template"]
