"""Loads the settings: reads file, environment and overrides, puts them over each other, and checks the result."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tidewire.config.checks import ConfigError, Problem, ResolvedSetting, contradictions, missing
from tidewire.config.setting import ENVIRONMENT_PREFIX, Setting
from tidewire.config.settings import Settings
from tidewire.config.table import BY_ENVIRONMENT_NAME, BY_NAME, SECTIONS, TABLE
from tidewire.config.types import InvalidValue

OVERRIDE_SOURCE = "--set"


@dataclass(frozen=True, slots=True)
class RawSetting:
    """A plain value that a source gives for a setting; whether it fits is not known yet."""

    setting: Setting
    source: str
    value: object


def from_file(file: Path | None) -> Iterator[RawSetting | Problem]:
    """What the configuration file says, if there is one."""
    if file is None:
        return
    content = _content(file)
    if isinstance(content, Problem):
        yield content
        return
    for section, table in content.items():
        yield from _from_table(str(file), section, table)


def from_environment(environ: Mapping[str, str]) -> Iterator[RawSetting | Problem]:
    """What variables named `TIDEWIRE_<SECTION>__<KEY>` say.

    Other names that begin with the prefix are left alone: a container platform makes such ones for a service
    named like the server. Only a setting's name with one underscore too few is taken for a slip.
    """
    slips = {name.replace("__", "_"): name for name in BY_ENVIRONMENT_NAME}
    for name, text in sorted(environ.items()):
        if setting := BY_ENVIRONMENT_NAME.get(name):
            yield RawSetting(setting, name, setting.kind.read(text))
        elif not name.startswith(ENVIRONMENT_PREFIX):
            continue
        elif "__" in name:
            known = _close(name, BY_ENVIRONMENT_NAME) or "TIDEWIRE_<SECTION>__<KEY> of a known setting"
            yield Problem(name, "", known, "no setting of this name")
        elif name in slips and not text.startswith(("tcp://", "udp://")):
            # A service named "tidewire-server" makes TIDEWIRE_SERVER_PORT=tcp://... appear: not a slip.
            yield Problem(name, "", f"{slips[name]} (two underscores)", "no setting of this name")


def from_overrides(overrides: Sequence[str]) -> Iterator[RawSetting | Problem]:
    """What `section.key=value` on the command line says; the last one of a setting counts."""
    for override in overrides:
        name, equals, text = override.partition("=")
        name = name.strip()
        if not equals:
            # The text may be a value that must not be shown: a secret given without its name.
            yield Problem(OVERRIDE_SOURCE, "", "section.key=value", "an argument without =")
        elif setting := BY_NAME.get(name):
            yield RawSetting(setting, OVERRIDE_SOURCE, setting.kind.read(text))
        else:
            known = _close(name, BY_NAME) or "section.key=value of a known setting"
            yield Problem(OVERRIDE_SOURCE, name, known, "no setting of this name")


def _content(file: Path) -> dict[str, Any] | Problem:
    expected = "a TOML file"
    try:
        return tomllib.loads(file.read_bytes().decode())
    except OSError as error:
        return Problem(str(file), "", "a TOML file that can be read", (error.strerror or str(error)).lower())
    except UnicodeDecodeError as error:
        return Problem(str(file), "", expected, f"bytes that are no UTF-8, at {error.start}")
    except RecursionError:
        return Problem(str(file), "", expected, "lists or tables nested too deep")
    except ValueError as error:
        # Errors of the TOML syntax, and of numbers too long to read.
        return Problem(str(file), "", expected, f"a mistake: {error}")


def _from_table(source: str, section: str, table: object) -> Iterator[RawSetting | Problem]:
    if section not in SECTIONS:
        yield Problem(source, section, _known_section(section), "no section of this name")
    elif not isinstance(table, dict):
        yield Problem(source, section, f"a table: [{section}]", "a value")
    else:
        for key, value in table.items():
            name = f"{section}.{key}"
            if setting := BY_NAME.get(name):
                yield RawSetting(setting, source, value)
            else:
                yield Problem(source, name, _known_key(section, key), "no setting of this name")


def _known_section(section: str) -> str:
    """What was probably meant by a word at the top of the file: a section, or a key without one."""
    if close := _close(f"[{section}]", [f"[{name}]" for name in SECTIONS]):
        return close
    if close := _close_by_key(section):
        return close
    return f"one of {', '.join(f'[{name}]' for name in SECTIONS)}"


def _known_key(section: str, key: str) -> str:
    names = [setting.name for setting in TABLE if setting.section == section]
    return _close(f"{section}.{key}", names) or _close_by_key(key) or f"one of {', '.join(names)}"


def _close_by_key(key: str) -> str:
    close = get_close_matches(key, [setting.key for setting in TABLE], n=1, cutoff=0.8)
    names = [setting.name for setting in TABLE if setting.key in close]
    return f"{names[0]} (did you mean that?)" if names else ""


def _close(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant, as a question; empty when none is near."""
    close = get_close_matches(name, known, n=1, cutoff=0.75)
    return f"{close[0]} (did you mean that?)" if close else ""


NO_DEFAULTS: Mapping[str, object] = MappingProxyType({})


def load(
    *,
    file: Path | None,
    environ: Mapping[str, str],
    overrides: Sequence[str] = (),
    working_directory: Path | None = None,
    defaults: Mapping[str, object] = NO_DEFAULTS,
) -> Settings:
    """Reads the settings: overrides over the environment, over the file, over the defaults.

    Args:
        file: the configuration file; None when there is none. A file that is named must exist.
        environ: the environment; only `TIDEWIRE_<SECTION>__<KEY>` count.
        overrides: `section.key=value` each, from `--set` and from flags that stand for a setting.
        working_directory: what relative paths start from when there is no file; by default the process's.
        defaults: what a program that runs the server has in place of the usual defaults, by `section.key`.

    Raises:
        ConfigError: something is wrong; it holds every problem of every source, also of values that another
            source would have replaced.
    """
    settled = {
        setting.name: ResolvedSetting(setting.kind.fit(defaults.get(setting.name, setting.default)))
        for setting in TABLE
    }
    problems: list[Problem] = []
    for item in chain(from_file(file), from_environment(environ), from_overrides(overrides)):
        outcome = item if isinstance(item, Problem) else _fitted(item)
        if isinstance(outcome, Problem):
            problems.append(outcome)
        elif isinstance(item, RawSetting):
            settled[item.setting.name] = outcome
    wrong = {problem.key for problem in problems}
    right = {name: value for name, value in settled.items() if name not in wrong}
    problems.extend([*contradictions(right), *missing(right)])
    if problems:
        raise ConfigError(problems)
    start = _start_of_paths(file, working_directory)
    return Settings.of({name: _absolute(settled[name].value, start) for name in settled})


def _fitted(raw: RawSetting) -> ResolvedSetting | Problem:
    setting = raw.setting
    try:
        return ResolvedSetting(setting.kind.fit(raw.value), raw.source)
    except InvalidValue as misfit:
        found = "another value (not shown)" if setting.private else misfit.found
        return Problem(raw.source, setting.name, misfit.expected, found)


def _start_of_paths(file: Path | None, working_directory: Path | None) -> Path:
    """The folder that relative paths start from: the file's, else the working directory."""
    here = Path.cwd() if working_directory is None else working_directory
    return here if file is None else here / file.parent


def _absolute(value: object, start: Path) -> object:
    return start / value if isinstance(value, Path) else value
