"""The Django chat: registrations at every moment of its changes, and a race that was planted.

Django is set up once in a process, and other tests do so for another project; so these run in a process of their own.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from support.chat_processes import Chat, made_database

pytestmark = pytest.mark.slow

CHECK = Path(__file__).parents[1] / "support" / "chat_races.py"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_database(tmp_path_factory.mktemp("chat-database"))


def run(chat: Chat, what: str) -> str:
    """Runs one of the checks, and returns what it prints."""
    environment = dict(chat.environment)
    environment["PYTHONPATH"] += f":{CHECK.parents[2] / 'examples' / 'django_chat'}:{CHECK.parents[1]}"
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-W", "error", str(CHECK), what],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_registrations_at_every_moment_of_a_change_see_it(tmp_path: Path, database: Path) -> None:
    assert run(Chat(tmp_path, database), "right").split() == [
        "chat_message",
        "chat_mark",
        "chat_mark",
        "chat_channel",
    ]


def test_a_planted_race_is_found_within_a_second(tmp_path: Path, database: Path) -> None:
    seconds, _, told = run(Chat(tmp_path, database), "planted").partition("\n")
    assert "A client that made its queue at chat_races.py" in told
    assert "then nothing came" in told
    assert "marks = {}" in told
    assert float(seconds) < 1
