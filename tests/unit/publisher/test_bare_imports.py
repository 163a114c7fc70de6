"""Client and publisher work from the bare wheel: nothing but the standard library is needed."""

import subprocess
import sys

import pytest

BARE = """
import sys

class OnlyTidewire:
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root != "tidewire" and root not in sys.stdlib_module_names:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, OnlyTidewire())
import {module}
print(*sorted(name for name in sys.modules if name.startswith("tidewire")))
"""


@pytest.mark.parametrize(
    ("module", "absent"),
    [("tidewire.client", "tidewire.publisher"), ("tidewire.publisher", "tidewire.client")],
)
def test_it_imports_without_dependencies_and_without_the_server(module: str, absent: str) -> None:
    """Neither needs the other, nor any part of the server."""
    code = BARE.format(module=module)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # our own code
    loaded = set(ran.stdout.split())
    assert module in loaded
    assert absent not in loaded
    assert not {
        name
        for name in loaded
        if name.startswith(("tidewire.core", "tidewire.http", "tidewire.engine.engine"))
    }
