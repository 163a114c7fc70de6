"""A service whose shards come and go while it is used: each re-sharding is done step by step as the documentation says.

Each shard is a process by itself, with nobody over them: whoever starts them again when they die is here.
"""

import contextlib
import subprocess
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, TypeAlias

from support.demo_server import end
from support.shard_service import BACK_WITHIN, TIDEWIRE, ShardService, launched, status
from support.waiting import eventually

Side: TypeAlias = Literal["source", "target"]
"""Of a hand-over."""

MOST = 4
"""Shards."""


class GrowingService(ShardService):
    """See the module."""

    def __init__(self, folder: Path, *, users: Iterable[int], wrong_shard: str = "proxy") -> None:
        super().__init__(folder, users=users, shards=1, room=MOST - 1, wrong_shard=wrong_shard)
        self._version = 1
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def destroy(self) -> None:
        """Ends everything, whatever it does."""
        for process in self._processes.values():
            end(process)
        super().destroy()

    def start_shards(self) -> None:
        """Starts the one that there is at first."""
        self._start(0, self.map_path)

    def await_shards(self) -> None:
        """Waits until all shards serve, and have the broker."""
        eventually(self.all_healthy, what="all shards are ready, with the bus", within=BACK_WITHIN)

    def reshard(self, count: int, *, kill: Side | None = None) -> None:
        """Has so many shards share all users; in the middle of it one side may be killed, and comes back."""
        before = len(self.serving)
        self.doing = f"{before} -> {count}" + (f", {kill} killed" if kill else "")
        self._version += 1
        path = self.write_map(self._version, count, self.folder / f"map-{self._version}.toml")
        for index in range(before, count):
            self._start(index, path)
        if self.wrong_shard == "redirect" and count > before:
            self.reload_nginx(also=path)
        if kill is None:
            self._apply(path)
        else:
            self._apply_with_kill(path, kill, target=count - 1)
        self.serving = list(range(count))
        self.reload_nginx()
        for index in range(count, before):
            self._stop(index)
        self.await_shards()

    # The steps.

    def _start(self, index: int, map_path: Path) -> None:
        given = {"shards.map_file": map_path, "shards.index": index, "log.level": "debug"}
        options = [part for name, value in given.items() for part in ("--set", f"{name}={value}")]
        with self._log_of(index).open("ab") as log:
            self._processes[index] = launched(
                [*TIDEWIRE, "serve", "--config", str(self.settings), *options], self.folder, log
            )
        eventually(
            lambda: status(self.ports[index], "/health/ready") == 200,
            what=f"shard {index} is ready",
            within=BACK_WITHIN,
        )

    def _stop(self, index: int) -> None:
        process = self._processes.pop(index)
        process.terminate()
        assert process.wait(BACK_WITHIN) == 0, self.log

    def _apply(self, map_path: Path) -> None:
        self.tidewire("shards", "apply", str(map_path), "--config", str(self.settings), "--json")

    def _apply_with_kill(self, map_path: Path, victim: Side, *, target: int) -> None:
        said = self._log_of(target).read_text().count("users taken")
        with self._applying(map_path):
            eventually(
                lambda: self._log_of(target).read_text().count("users taken") > said,
                what="users begin to arrive",
                within=BACK_WITHIN,
            )
            killed = 0 if victim == "source" else target
            process = self._processes[killed]
            process.kill()
            process.wait()
            # As whoever looks after it would: the source knows the newer map from its journal alone.
            self._start(killed, self.map_path if victim == "source" else map_path)
        # It may have been told of the shard's death, and is asked to go on then.
        self._apply(map_path)

    @contextlib.contextmanager
    def _applying(self, map_path: Path) -> Iterator[None]:
        def apply() -> None:
            with contextlib.suppress(AssertionError):
                self._apply(map_path)

        thread = threading.Thread(target=apply)
        thread.start()
        try:
            yield
        finally:
            thread.join()

    # Looking.

    @property
    def log(self) -> str:
        """What all of them have logged that is no ordinary news."""
        return "\n".join(
            line
            for index in range(MOST)
            if self._log_of(index).exists()
            for line in self._log_of(index).read_text().splitlines()
            if '"level":"debug"' not in line and '"level":"info"' not in line
        )

    def _log_of(self, index: int) -> Path:
        return self.folder / f"log-{index}"


def there_and_back(service: GrowingService) -> None:
    """From one shard to three, to four, and to two."""
    for count in (3, 4, 2):
        service.reshard(count)


def shards_come_and_go(service: GrowingService) -> None:
    """More of them and fewer; then the same with SIGKILL of each side in the middle, where shards that were stopped come back."""
    there_and_back(service)
    service.reshard(3, kill="target")
    service.reshard(4, kill="source")
