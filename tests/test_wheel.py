"""The wheel, as it would be published: what is in it, and that it works without the source beside it."""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import tidewire
from support.demo_server import clean_environment, demo_server, health

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
OK = 200


def run(*command: str | Path, cwd: Path) -> str:
    """Runs a command where the source is not, and returns what it prints."""
    done = subprocess.run(  # noqa: S603 - our own commands
        [str(part) for part in command],
        cwd=cwd,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as `make wheel` builds it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    return _environment(folder, wheel)


@pytest.fixture(scope="module")
def complete(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel that also sees what is installed here, after its own."""
    folder = tmp_path_factory.mktemp("complete")
    _environment(folder, wheel)
    # Of a folder that a .pth file names no .pth files are read, so the editable install here stays out.
    (_site_packages(folder) / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def _environment(folder: Path, wheel: Path) -> Path:
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(folder / "bin/python"))
    run(*pip, "install", "--quiet", "--no-index", "--no-deps", wheel, cwd=folder)
    return folder


def _site_packages(environment: Path) -> Path:
    (folder,) = environment.glob("lib/python3*/site-packages")
    return folder


def test_it_holds_the_package_and_its_files_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = f"tidewire-{tidewire.__version__}.dist-info"

    assert {
        "tidewire/__init__.py",
        "tidewire/py.typed",
        "tidewire/cli/demo/demo_users.toml",
        "tidewire/console/page/index.html",
        "tidewire/console/page/colours.css",
        "tidewire/console/static/tidewire.js",
        "tidewire/console/vendor/lit-html.js",
        "tidewire/console/vendor/lit-html.LICENSE",
        "tidewire/console/vendor/uplot.js",
        "tidewire/console/vendor/uplot.LICENSE",
        "tidewire/state/__init__.py",
        "tidewire/contrib/asgi.py",
        "tidewire/contrib/django/management/commands/runtidewire.py",
        "tidewire/contrib/django/management/commands/tidewire_relay.py",
        "tidewire/contrib/django/migrations/0001_initial.py",
        "tidewire/contrib/django/templates/tidewire/queues.html",
        f"{info}/licenses/LICENSE",
        f"{info}/entry_points.txt",
    } <= names
    assert {name.partition("/")[0] for name in names} == {"tidewire", info}
    kits = ("tidewire/testing/", "tidewire/contrib/django/testing.py")
    assert not {name for name in names if "test" in name and not name.startswith(kits)}


def test_client_and_publisher_need_nothing_else(bare: Path) -> None:
    code = "import tidewire.client, tidewire.publisher; print(tidewire.client.__file__)"
    printed = run(bare / "bin" / "python", "-I", "-W", "error", "-c", code, cwd=bare)

    assert Path(printed.strip()).is_relative_to(_site_packages(bare))


def test_a_django_project_runs_from_the_wheel(complete: Path, tmp_path: Path) -> None:
    python = complete / "bin" / "python"
    run(python, "-m", "django", "startproject", "made", tmp_path, cwd=tmp_path)
    settings = tmp_path / "made" / "settings.py"
    with settings.open("a") as file:
        file.write('INSTALLED_APPS += ["tidewire.contrib.django"]\n')
        file.write('TIDEWIRE = {"URL": "http://127.0.0.1:9800", "SECRET": "s" * 32}\n')
    assert "tidewire" in run(python, "manage.py", "migrate", cwd=tmp_path)
    assert run(python, "manage.py", "tidewire_relay", "--once", cwd=tmp_path) == ""
    assert "--pages" in run(python, "manage.py", "runtidewire", "--help", cwd=tmp_path)


def test_the_command_says_its_version(complete: Path) -> None:
    printed = run(complete / "bin" / "tidewire", "--version", cwd=complete)

    assert printed == f"tidewire {tidewire.__version__}\n"


def test_the_command_serves_from_the_wheel(complete: Path, tmp_path: Path) -> None:
    where = run(
        complete / "bin" / "python", "-c", "import tidewire.app.build as a; print(a.__file__)", cwd=complete
    )
    assert Path(where.strip()).is_relative_to(_site_packages(complete))

    with demo_server([str(complete / "bin" / "tidewire")], tmp_path, "--quiet") as server:
        assert health(server.port) == OK
    assert health(server.port) is None
