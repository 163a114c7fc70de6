"""Loading: puts the sources over each other, checks everything, and gives the settings or every problem."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from tidewire.config.checks import Settled, contradictions, missing
from tidewire.config.kinds import Misfit
from tidewire.config.problems import ConfigError, Problem
from tidewire.config.records import Settings
from tidewire.config.sources import Given, from_environment, from_file, from_overrides
from tidewire.config.table import TABLE


def load(
    *,
    file: Path | None,
    environ: Mapping[str, str],
    overrides: Sequence[str] = (),
    working_directory: Path | None = None,
) -> Settings:
    """Reads the settings: overrides over the environment, over the file, over the defaults.

    Args:
        file: the configuration file; None when there is none. A file that is named must exist.
        environ: the environment; only `TIDEWIRE_<SECTION>__<KEY>` count.
        overrides: `section.key=value` each, from `--set` and from flags that stand for a setting.
        working_directory: what relative paths start from when there is no file; by default the process's.

    Raises:
        ConfigError: something is wrong; it holds every problem of every source, also of values that another
            source would have replaced.
    """
    settled = {setting.name: Settled(setting.kind.fit(setting.default)) for setting in TABLE}
    problems: list[Problem] = []
    for item in chain(from_file(file), from_environment(environ), from_overrides(overrides)):
        outcome = item if isinstance(item, Problem) else _fitted(item)
        if isinstance(outcome, Problem):
            problems.append(outcome)
        elif isinstance(item, Given):
            settled[item.setting.name] = outcome
    wrong = {problem.key for problem in problems}
    right = {name: value for name, value in settled.items() if name not in wrong}
    problems.extend([*contradictions(right), *missing(right)])
    if problems:
        raise ConfigError(problems)
    start = _start_of_paths(file, working_directory)
    return Settings.of({name: _absolute(settled[name].value, start) for name in settled})


def _fitted(given: Given) -> Settled | Problem:
    setting = given.setting
    try:
        return Settled(setting.kind.fit(given.value), given.source)
    except Misfit as misfit:
        found = "another value (not shown)" if setting.private else misfit.found
        return Problem(given.source, setting.name, misfit.expected, found)


def _start_of_paths(file: Path | None, working_directory: Path | None) -> Path:
    """The folder that relative paths start from: the file's, else the working directory."""
    here = Path.cwd() if working_directory is None else working_directory
    return here if file is None else here / file.parent


def _absolute(value: object, start: Path) -> object:
    return start / value if isinstance(value, Path) else value
