"""A Tidewire with as many users as there are clients, as the load generator names them."""

import base64
import sys
from pathlib import Path

SECRET = "benchmark-secret"  # noqa: S105 - it guards nothing

_USER = """
[[user]]
id = {number}
realm_id = 1
email = "{email}"
api_key = "{key}"
full_name = "User {number}"
"""


def email(number: int) -> str:
    """The address of a user; the first is number 1."""
    return f"user{number:06d}@bar.test"


def api_key(number: int) -> str:
    """The key of a user."""
    return f"k{number}".ljust(32, "x")


def credentials(number: int) -> str:
    """The value of a user's `Authorization` header."""
    return "Basic " + base64.b64encode(f"{email(number)}:{api_key(number)}".encode()).decode()


def write_users(folder: Path, count: int) -> None:
    """Writes a users file into the folder."""
    users = (
        _USER.format(number=number, email=email(number), key=api_key(number))
        for number in range(1, count + 1)
    )
    realm = '[[realm]]\nid = 1\nhost = "bar.test"\nname = "Bar"\n'
    (folder / "users.toml").write_text(realm + "".join(users))


def serve_command(port: int, *settings: str) -> list[str]:
    """Serves the users in the working directory, with its state beside them."""
    overrides = ("auth.users_file=users.toml", f"server.secret={SECRET}", *settings)
    command = [sys.executable, "-m", "tidewire", "serve", "--port", str(port), "--state-dir", "state"]
    return command + [part for override in overrides for part in ("--set", override)]
