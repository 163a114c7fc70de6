"""The page on Django names every key of the setting, every option and every check."""

import re
from argparse import ArgumentParser
from dataclasses import fields
from pathlib import Path

from support.django_project import setup as _setup  # noqa: F401  # Django has to be set up before its models are imported
from support.markdown import row_terms, section
from tidewire.contrib import django as live
from tidewire.contrib.django import checks
from tidewire.contrib.django.conf import Conf
from tidewire.contrib.django.management.commands.runtidewire import Command

PAGE = (Path(__file__).parents[2] / "docs/howto/use-with-django.md").read_text(encoding="utf-8")
DJANGO_S_OWN = {"-h", "--help"}


def test_every_key_of_the_setting_has_a_row() -> None:
    assert row_terms(section(PAGE, "Set it up")) >= {field.name.upper() for field in fields(Conf)}


def test_every_option_of_the_command_has_a_row() -> None:
    parser = ArgumentParser()
    Command().add_arguments(parser)
    options = {option for action in parser._actions for option in action.option_strings} - DJANGO_S_OWN
    rows = row_terms(section(PAGE, "Run the server inside Django"))
    assert {term.split()[0] for term in rows} == options


def test_every_check_has_a_row() -> None:
    source = Path(checks.__file__).read_text(encoding="utf-8")
    ids = set(re.findall(r"tidewire\.([EW]\d+)", source))
    written = {term.removeprefix("tidewire.") for term in row_terms(section(PAGE, "What the checks say"))}
    assert written == ids


def test_every_public_name_is_on_the_page() -> None:
    assert {name for name in live.__all__ if f"{name}" not in PAGE} <= {"Asked"}
