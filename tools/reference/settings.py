"""The reference page of the settings, made from the table: `make reference` writes it."""

from tidewire._text import show
from tidewire.config.setting import Setting
from tidewire.config.table import SECTIONS, TABLE

INTRODUCTION = """\
# Settings

<!-- Made by `make reference`; change the tables in `src/tidewire/config/settings_core.py` and `config/settings_network.py` instead. -->

Settings come from four places. What stands further up this list wins:

1. flags: `--set section.key=value`, and the flags that stand for one setting;
2. the environment: `TIDEWIRE_<SECTION>__<KEY>`, with two underscores between section and key;
3. the configuration file, by default `tidewire.toml` in the working directory;
4. the defaults below.

The environment and `--set` give text. Where a string is wanted the text is taken as it is; elsewhere it is read as
a TOML value (`true`, `17`, `["a", "b"]`), and a list may also be written with commas (`a,b`).

Relative paths start from the folder of the configuration file when there is one, else from the working directory,
wherever they were given.

An unknown name and a value that does not fit are errors, and all of them are reported together
when a command starts.
"""


def render() -> str:
    """The page: one `### section.key` heading a setting, in the order of the table."""
    sections = [
        "\n".join(
            [f"## [{section}]", "", *(_entry(setting) for setting in TABLE if setting.section == section)]
        )
        for section in SECTIONS
    ]
    return "\n".join([INTRODUCTION, *sections]).rstrip("\n") + "\n"


def _entry(setting: Setting) -> str:
    lines = [f"### {setting.name}", "", setting.meaning]
    lines += ["", f"- Type: {setting.kind.expected}"]
    if setting.unit:
        lines.append(f"- Unit: {setting.unit}")
    if setting.zero:
        lines.append(f"- 0 means: {setting.zero}")
    lines += [f"- Default: `{show(setting.default)}`", f"- Environment: `{setting.environment_name}`", ""]
    return "\n".join(lines)
