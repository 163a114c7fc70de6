"""The same with the newer Django, which needs a newer Python: the tests of Django's side in an environment of their own.

`make test` makes it from `requirements/dev.txt`, which has the newest Django of each Python. Without a Python 3.12 on the machine the test is skipped,
which the closing lines of pytest say.
"""

import re
import subprocess
from pathlib import Path

import pytest

from support.published_clients import client_program
from support.server_process import clean_environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
TESTS = (
    "tests/unit/contrib",
    "tests/e2e/test_django.py",
    "tests/e2e/test_runtidewire.py",
    "tests/examples/test_django_chat_races.py",
)


def run(*command: str) -> str:
    python = str(client_program("django-6", "bin/python"))
    environment = {**clean_environment(), "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(  # noqa: S603 - our own tests
        [python, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_all_that_there_is_for_django_holds_with_django_6() -> None:
    assert run("-c", "import django; print(django.VERSION[0])").strip() == "6"
    told = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no", *TESTS)
    closing = told.strip().splitlines()[-1]
    passed = re.match(r"(\d+) passed in", closing)
    assert passed, closing
    assert int(passed[1]) >= 50
