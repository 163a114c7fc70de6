"""A shard with 10,000 waiting clients is restarted: what others notice, and how long until all are back."""

import contextlib
import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from columns import Figures, Run, alternate_runs, print_columns, rounds_of_servers
from load import LoadFailed
from processes import LOAD_CORE, free_port, pinned, serving
from talking import Talk, as_user, poll_path
from users import SECRET, write_users

CLIENTS = 10_000
OTHERS = (CLIENTS + 1, CLIENTS + 2)
"""A user of the other shard, and one of the shard that is restarted."""

LIMITS = (0, 1000, 2000, 4000)
"""New connections a second."""

WITHIN = 60.0
"""Seconds for all to come back."""

BETWEEN = 0.005
"""Seconds between two questions."""

HERE = Path(__file__).parent


def main(*, rounds: int) -> None:
    """One row for each limit."""
    cases: dict[str, Run] = {
        "no limit" if not limit else f"{limit:,} a second": partial(_restart, limit) for limit in LIMITS
    }
    found = alternate_runs(cases, rounds=rounds_of_servers(rounds))
    print_columns(f"A shard with {CLIENTS:,} waiting clients is restarted", found)


def _restart(limit: int, folder: Path) -> Figures:
    first = _write(folder)
    # The second shard is restarted last: the first's restart is over when its clients come back.
    port = first + 1
    with _shards(folder, first, limit), _elsewhere(folder, first + 2), _crowd(port) as crowd:
        elsewhere, here = Asking(first + 2, OTHERS[0]), Asking(port, OTHERS[1])
        new = Asking(port, OTHERS[1], fresh=True)
        done = subprocess.run(  # noqa: S603 - our own
            [*_tidewire("restart"), "--reload-rate", "0"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        seconds = _all_back(crowd)
        for asking in (elsewhere, here, new):
            asking.end()
    last = done.stdout.splitlines()[-1]
    return {
        "poll elsewhere: longest ms": max(elsewhere.taken) * 1000,
        "poll on it, once let in: longest ms": max(here.taken) * 1000,
        "new connection: longest s": max(new.taken),
        "ready again after s": float(last.split()[-2]),
        "all back after s": seconds,
    }


def _write(folder: Path) -> int:
    port = free_port()
    write_users(folder, CLIENTS)
    others = "".join(
        f'[[user]]\nid = {user}\nrealm_id = {realm}\nemail = "user{user:06d}@bar.test"\n'
        f'api_key = "{f"k{user}".ljust(32, "x")}"\nfull_name = "User"\n'
        for user, realm in zip(OTHERS, (2, 1), strict=True)
    )
    with (folder / "users.toml").open("a") as users:
        users.write('[[realm]]\nid = 2\nhost = "other.test"\nname = "Other"\n' + others)
    shards = "".join(f"[[shard]]\nport = {each}\n" for each in range(port, port + 3))
    (folder / "map.toml").write_text(
        f'version = 1\ndefault = [{port + 1}]\n{shards}[[realm]]\nhost = "other.test"\nports = [{port + 2}]\n'
    )
    return port


def _shards(folder: Path, port: int, limit: int) -> contextlib.AbstractContextManager[object]:
    (folder / "tidewire.toml").write_text(
        f"[server]\nport = {port}\nsecret = '{SECRET}'\n[auth]\nusers_file = 'users.toml'\n"
        f"[shards]\nmap_file = 'map.toml'\n[limits]\naccept_rate = {limit}\n"
    )
    return serving(_tidewire("serve", "--shards", "2"), port=port, folder=folder)


def _elsewhere(folder: Path, port: int) -> contextlib.AbstractContextManager[object]:
    """The third shard, which is not restarted: it is not the supervisor's."""
    own = folder / "elsewhere"
    own.mkdir()
    for name in ("tidewire.toml", "users.toml", "map.toml"):
        (own / name).symlink_to(folder / name)
    return serving(_tidewire("serve", "--set", "shards.index=2"), port=port, folder=own)


def _tidewire(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tidewire", *arguments]


@contextlib.contextmanager
def _crowd(port: int) -> Iterator[subprocess.Popen[str]]:
    command: list[str | Path] = [sys.executable, HERE / "returning.py", str(port), str(CLIENTS)]
    with subprocess.Popen(  # noqa: S603 - our own
        pinned(command, LOAD_CORE), stdout=subprocess.PIPE, text=True
    ) as crowd:
        try:
            assert crowd.stdout is not None
            if crowd.stdout.readline() != "waiting\n":
                raise LoadFailed("the clients could not all be had; are enough open files allowed?")
            yield crowd
        finally:
            crowd.kill()


def _all_back(crowd: subprocess.Popen[str]) -> float:
    """Seconds from the first lost connection until each client has had an answer on a new one."""
    giving_up = threading.Timer(WITHIN, crowd.kill)
    giving_up.start()
    try:
        assert crowd.stdout is not None
        for line in crowd.stdout:
            _, count, seconds = line.split()
            if int(count) >= CLIENTS:
                return float(seconds)
    finally:
        giving_up.cancel()
    raise LoadFailed(f"not all came back within {WITHIN:g} s")


class Asking:
    """Somebody who polls without waiting, again and again, and notes how long each answer took.

    With `fresh` each is a new connection. Without, a connection that is lost is made again, which is not noted.
    """

    def __init__(self, port: int, user: int, *, fresh: bool = False) -> None:
        self.taken: list[float] = []
        self._port = port
        self._headers = as_user(user)
        with Talk(port) as talk:
            self._path = poll_path(talk.register(user), -1, block=False)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._one_by_one if fresh else self._on_one)
        self._thread.start()

    def end(self) -> None:
        """Asks no more."""
        self._over.set()
        self._thread.join()

    def _on_one(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException), Talk(self._port) as talk:
                self._ask(talk)
                while not self._over.wait(BETWEEN):
                    self.taken.append(_taken(lambda: self._ask(talk)))

    def _one_by_one(self) -> None:
        def ask() -> None:
            with Talk(self._port) as talk:
                self._ask(talk)

        while not self._over.wait(BETWEEN):
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.taken.append(_taken(ask))

    def _ask(self, talk: Talk) -> None:
        talk.ask("GET", self._path, self._headers)


def _taken(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
