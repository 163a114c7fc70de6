"""The files in `deploy/` name what there is: routes, files, commands, settings, directives."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.demo_server import demo_server
from support.markdown import code_blocks
from support.programs import not_here, require_programs
from tidewire.cli.main import main
from tidewire.config import Settings
from tidewire.config.loading import load
from tidewire.http.app import DESCRIPTION, INTERNAL, all_routes

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "tidewire.service"
DASHBOARD = DEPLOY / "grafana-dashboard.json"
PROXIES = ("nginx.conf", "Caddyfile", "haproxy.cfg")
TIDEWIRE = [sys.executable, "-m", "tidewire"]

LOADED_CONFIGURATIONS = {
    UNIT.name: DEPLOY / "tidewire.toml",
    "Containerfile": DEPLOY / "container.toml",
}
"""What ends up as /etc/tidewire/tidewire.toml with each."""

EXPOSURE_AT_MOST = 2.0
"""Of 10, as systemd rates units. The network and a user of its own account for 1.5."""

Instruction = tuple[str, str]


def text(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def settings(file: Path) -> Settings:
    return load(file=file, environ={})


def arguments_fit(arguments: list[str]) -> None:
    """Parses a command line as the command would, without carrying it out."""
    parent = main.make_context("tidewire", list(arguments))
    name, command, rest = main.resolve_command(parent, arguments)
    assert command is not None
    command.make_context(name, rest, parent=parent)


# Proxies.


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_passes_on_the_public_routes_and_no_others(name: str) -> None:
    pattern = re.search(r"\^/\(.*\)\$", text(name))
    assert pattern
    public = {path for path in all_routes() if path.startswith(("/api/", "/json/"))} - {
        *INTERNAL,
        *DESCRIPTION,
    }
    console = {"/console", "/console/login", "/console/api/pulse"}
    others = {*(set(all_routes()) - public), *console, "/metrics", "/", "/api/v1/eventsx", "/x/api/v1/events"}

    assert {path for path in public if not re.search(pattern[0], path)} == set()
    assert {path for path in others if re.search(pattern[0], path)} == set()


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_waits_longer_than_any_poll(name: str) -> None:
    """A heartbeat may be set to 85 seconds at most."""
    waits = re.search(r"(?:proxy_read_timeout|response_header_timeout|timeout server) (\d+)s", text(name))
    assert waits
    assert int(waits[1]) > 85


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_finds_the_server_where_the_settings_have_it(name: str) -> None:
    listening = settings(LOADED_CONFIGURATIONS[UNIT.name]).server

    assert f"{listening.host}:{listening.port}" in text(name)


# The unit.


def unit_lines() -> list[tuple[str, str]]:
    """The directives of the unit with their values; a file of another form fails here."""
    lines = [line for line in UNIT.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    sections = [line for line in lines if line.startswith("[")]
    assert sections == ["[Unit]", "[Service]", "[Install]"]
    pairs = [line.partition("=") for line in lines if line not in sections]
    assert [pair for pair in pairs if not pair[1] or not pair[0].isalpha()] == []
    return [(name, value) for name, _, value in pairs]


def test_the_unit_starts_a_command_that_there_is() -> None:
    unit = dict(unit_lines())
    program, *arguments = shlex.split(unit["ExecStart"])

    assert Path(program).name == "tidewire"
    assert arguments[-1] == "/etc/tidewire/tidewire.toml"
    arguments_fit([*arguments[:-1], str(LOADED_CONFIGURATIONS[UNIT.name])])


def test_the_unit_owns_the_directory_that_the_settings_name() -> None:
    unit = dict(unit_lines())
    storage = settings(LOADED_CONFIGURATIONS[UNIT.name]).storage

    assert storage.directory == Path("/var/lib") / unit["StateDirectory"]
    assert unit["StateDirectoryMode"] == "0700"


def test_systemd_takes_the_unit_without_a_warning(tmp_path: Path) -> None:
    """With this Python in place of the program, which is not installed where tests run."""
    require_programs("systemd-analyze")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/tidewire/bin/tidewire", sys.executable))
    done = subprocess.run(  # noqa: S603 - the test's own file
        ["systemd-analyze", "verify", "--man=no", unit],  # noqa: S607 - found above
        capture_output=True,
        text=True,
        check=False,
    )

    assert [line for line in done.stderr.splitlines() if UNIT.name in line] == []


def test_systemd_rates_the_unit_as_hardly_exposed() -> None:
    require_programs("systemd-analyze")
    done = subprocess.run(  # noqa: S603 - the repository's own file
        ["systemd-analyze", "security", "--offline=true", "--no-pager", UNIT],  # noqa: S607 - found above
        capture_output=True,
        text=True,
        check=False,
    )
    if "Unknown" in done.stderr or "unrecognized" in done.stderr:
        not_here("this systemd can't rate a file")
    rated = re.search(r"exposure level for tidewire\.service: ([\d.]+)", done.stdout)

    assert rated, done.stderr
    assert float(rated[1]) <= EXPOSURE_AT_MOST


@pytest.mark.parametrize("name", ["tidewire@.service", "tidewire-shards.service"])
def test_a_unit_for_shards_is_the_one_for_a_server_but_for_what_it_starts(name: str) -> None:
    """So that what hardens one hardens all."""

    def lines(unit: str) -> set[str]:
        return {line for line in text(unit).splitlines() if line and not line.startswith("#")}

    differing = {line.partition("=")[0] for line in lines(name) ^ lines(UNIT.name)}
    assert differing <= {"Description", "ExecStart", "Type", "TimeoutStartSec", "TimeoutStopSec"}
    (start,) = [line for line in lines(name) if line.startswith("ExecStart=")]
    arguments = shlex.split(start.replace("%i", "1"))[1:]
    given = str(LOADED_CONFIGURATIONS[UNIT.name])
    arguments_fit([given if part == "/etc/tidewire/tidewire.toml" else part for part in arguments])


# The container.


def instructions() -> list[Instruction]:
    """The Containerfile's instructions with what follows them, continued lines joined."""
    joined = text("Containerfile").replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def last_stage() -> list[Instruction]:
    every = instructions()
    start = max(number for number, (name, _) in enumerate(every) if name == "FROM")
    return every[start:]


def values(name: str) -> list[str]:
    """What follows the instructions of that name in the last stage."""
    return [rest for instruction, rest in last_stage() if instruction == name]


def test_the_container_is_built_from_files_that_there_are() -> None:
    copied = [rest.split()[:-1] for name, rest in instructions() if name == "COPY" and "--from=" not in rest]

    assert copied
    assert [source for sources in copied for source in sources if not (ROOT / source).exists()] == []


def test_the_container_has_all_that_the_wheel_is_built_from() -> None:
    copied = {source for name, rest in instructions() if name == "COPY" for source in rest.split()[:-1]}
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    named = set(re.findall(r'^(?:readme = |license-files = \[)"([^"]+)"', project, re.MULTILINE))

    assert named
    assert {"pyproject.toml", "src", *named} - copied == set()


def test_the_container_installs_only_what_is_pinned_by_content() -> None:
    commands = [
        command.strip() for name, rest in instructions() if name == "RUN" for command in rest.split("&&")
    ]
    installing = [command for command in commands if " install " in command and "pip" in command]
    hashed = [command for command in installing if "--require-hashes -r requirements/" in command]
    rest = [command for command in installing if command not in hashed]

    assert hashed
    assert [command for command in rest if not {"--no-index", "--no-deps"} <= set(command.split())] == []


def test_the_base_image_is_named_by_whoever_builds_and_by_its_content_alone() -> None:
    every = instructions()
    images = [rest.split()[0] for name, rest in every if name == "FROM"]
    arguments = [rest for name, rest in every if name == "ARG"]

    assert set(images) == {"${BASE}"}
    assert set(arguments) == {"BASE"}, "a default would be a tag, or a digest that grows old"
    first_run = next(rest for name, rest in every if name == "RUN")

    def checked(base: str) -> int:
        command = ["sh", "-c", first_run]
        return subprocess.run(  # noqa: S603 - of our own file
            command, env={"BASE": base, "PATH": os.environ["PATH"]}, capture_output=True, check=False
        ).returncode

    digest = "0" * 64
    assert (
        checked(f"python@sha256:{digest}") == checked(f"docker.io/library/python:3.13@sha256:{digest}") == 0
    )
    assert checked("python:3.13-slim") == checked("python") == checked("") == 1


def test_the_container_does_not_run_as_root() -> None:
    """By number: who starts the container need not know its /etc/passwd."""
    (user,) = values("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    names = [name for name, _ in last_stage()]
    assert "RUN" not in names[names.index("USER") :]


def test_the_container_starts_a_command_that_there_is() -> None:
    (program,), arguments = (json.loads(value) for value in (*values("ENTRYPOINT"), *values("CMD")))
    target = arguments[-1]
    (source,) = [rest.split()[0] for rest in values("COPY") if rest.split()[-1] == target]

    assert program == "/opt/tidewire/bin/tidewire"
    assert ROOT / source == LOADED_CONFIGURATIONS["Containerfile"]
    arguments_fit([*arguments[:-1], str(ROOT / source)])


def test_the_container_keeps_its_state_in_the_volume_and_listens_on_the_port() -> None:
    configured = settings(LOADED_CONFIGURATIONS["Containerfile"])

    assert values("VOLUME") == [str(configured.storage.directory)]
    assert values("EXPOSE") == [str(configured.server.port)]
    assert configured.server.host == "0.0.0.0"  # noqa: S104 - of the container
    assert values("STOPSIGNAL") == ["SIGTERM"]


def health_check() -> list[str]:
    """The command of the health check, with this Python."""
    (check,) = values("HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    assert command[0] == "/opt/tidewire/bin/python"
    assert isinstance(command, list)
    return [sys.executable, *command[1:]]


@pytest.mark.slow
def test_the_containers_health_check_tells_a_server_that_serves_from_none(tmp_path: Path) -> None:
    port = settings(LOADED_CONFIGURATIONS["Containerfile"]).server.port

    def check(actual: int) -> int:
        command = [part.replace(f":{port}/", f":{actual}/") for part in health_check()]
        return subprocess.run(command, capture_output=True, check=False).returncode  # noqa: S603 - see above

    with demo_server(TIDEWIRE, tmp_path, "--quiet") as server:
        assert check(server.port) == 0
    assert check(server.port) == 1


# The pages.


def test_the_pages_show_the_files_themselves() -> None:
    shown: Mapping[str, str] = {
        block.argument: page.name
        for page in sorted((ROOT / "docs").rglob("*.md"))
        for block in code_blocks(page.read_text(encoding="utf-8"))
        if block.directive == "literalinclude"
    }

    assert {f"../../deploy/{file.name}" for file in DEPLOY.iterdir() if file != DASHBOARD} - set(
        shown
    ) == set()


def test_a_page_names_the_dashboard() -> None:
    """It is for Grafana to read."""
    pages = [page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md")]

    assert any(f"`deploy/{DASHBOARD.name}`" in page for page in pages)
