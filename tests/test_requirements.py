"""What is installed is pinned by content, and the files say nothing about where it comes from."""

import json
import re
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).parents[1] / "requirements"
NODE = REQUIREMENTS / "clients" / "zulip-js"
LISTS = sorted(REQUIREMENTS.rglob("*.txt"))


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.name)
def test_every_python_package_has_its_version_and_hashes(path: Path) -> None:
    text = path.read_text()
    entries = re.split(r"\n(?! )", text.strip())
    assert entries
    assert [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []
    assert "://" not in text


def test_every_node_package_has_its_version_and_hash() -> None:
    text = (NODE / "package-lock.json").read_text()
    packages = {name: package for name, package in json.loads(text)["packages"].items() if name}
    assert "node_modules/zulip-js" in packages
    assert [
        name for name, package in packages.items() if not package["integrity"].startswith("sha512-")
    ] == []
    assert "://" not in text
    wanted = json.loads((NODE / "package.json").read_text())["dependencies"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted


def test_what_installs_everything_is_itself_pinned_by_its_content() -> None:
    makefile = (REQUIREMENTS.parent / "Makefile").read_text()
    by_pip = [line for line in makefile.splitlines() if "-m pip install" in line]
    assert by_pip
    assert [line for line in by_pip if "--require-hashes -r requirements/" not in line] == []
    by_uv = [line for line in makefile.splitlines() if "$(UV) install" in line and "-e ." not in line]
    assert by_uv
    assert [line for line in by_uv if "--require-hashes -r requirements/" not in line] == []
    assert (REQUIREMENTS / "uv.txt").read_text().startswith("uv==")
    assert "-o requirements/uv.txt" in makefile
