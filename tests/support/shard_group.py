"""Several shards as processes of their own, on neighbouring ports."""

import random
import socket
from collections.abc import Sequence
from pathlib import Path

from support.server_process import ServerProcess


def free_ports(count: int) -> list[int]:
    """Neighbouring ports that nobody listens on."""
    for first in random.sample(range(15000, 32000 - count), 100):
        ports = list(range(first, first + count))
        if all(_is_free(port) for port in ports):
            return ports
    raise OSError("no free ports beside each other")


def _is_free(port: int) -> bool:
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def map_text(version: int, ports: Sequence[int], default: Sequence[int]) -> str:
    """A map of shards on these ports by which all realms have those of `default`."""
    shards = "".join(f"[[shard]]\nport = {port}\n" for port in ports)
    return f"version = {version}\ndefault = {list(default)}\n{shards}"


class ShardGroup:
    """The shards, with users spread evenly; `map_path` is their map."""

    def __init__(self, directory: Path, count: int, *settings: str) -> None:
        self.ports = free_ports(count)
        self.map_path = directory / "shards.toml"
        self.write_map(1)
        self.shards: list[ServerProcess] = []
        for index, port in enumerate(self.ports):
            folder = directory / f"process-{index}"
            folder.mkdir()
            own = (f"shards.map_file={self.map_path}", f"shards.index={index}")
            shard = ServerProcess(folder, *own, *settings)
            shard.port = port
            self.shards.append(shard)

    def write_map(self, version: int, default: list[int] | None = None) -> None:
        """Writes a map by which all realms have these ports, or all."""
        self.map_path.write_text(map_text(version, self.ports, default or self.ports))

    def start(self) -> None:
        """Starts all of them."""
        for shard in self.shards:
            shard.start()

    def destroy(self) -> None:
        """Ends all of them."""
        for shard in self.shards:
            shard.destroy()
