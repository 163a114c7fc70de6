"""A real RabbitMQ of the tests' own: its directory, ports, node and processes."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pika

from support.server_process import free_port
from support.waiting import eventually

SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
"""Not the one in the path, which changes to a user that may not see the tests' directory."""

UP_WITHIN = 120.0
CONFIGURATION = """\
disk_free_limit.absolute = 50MB
loopback_users = none
log.file.level = warning
"""

NOTIFICATIONS = ("missedmessage_mobile_notifications", "missedmessage_emails")


class Broker:
    """The broker; `start` waits until it takes connections, and so does a start after `kill`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port = free_port()
        self._distribution_port = free_port()
        self._mapper_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._mapper: subprocess.Popen[bytes] | None = None
        (directory / "plugins").write_text("[].\n")
        (directory / "rabbitmq.conf").write_text(CONFIGURATION)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def launch(self) -> None:
        """Starts it, and does not wait."""
        if self._mapper is None:
            # Else the node would start one that outlives it.
            self._mapper = self._run("epmd", "-port", str(self._mapper_port), "-address", "127.0.0.1")
        self._process = self._run(SERVER)

    def start(self) -> None:
        """Starts it and waits until it takes connections."""
        self.launch()
        eventually(self._takes_connections, what="the broker takes connections", within=UP_WITHIN)

    def kill(self) -> None:
        """Ends it without a warning."""
        assert self._process is not None
        # Its own process group: Erlang starts helpers, which end when their parent does.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It answers nobody meanwhile, and closes nothing."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._process.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Ends it in order."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(UP_WITHIN)
        self._process = None

    def destroy(self) -> None:
        """Ends everything of it."""
        if self._process is not None:
            self.kill()
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait()

    # Its queues.

    @contextmanager
    def channel(self) -> Iterator[Any]:
        """A channel, for a moment."""
        connection = pika.BlockingConnection(pika.URLParameters(self.url))
        try:
            yield connection.channel()
        finally:
            connection.close()

    def put(self, queue: str, *bodies: bytes, message_id: str | None = None) -> None:
        """Puts messages into a queue as a publisher does that knows nothing of Tidewire.

        The broker answers to the closing of the connection when it has taken what came before.
        """
        with self.channel() as channel:
            channel.queue_declare(queue, durable=True)
            properties = pika.BasicProperties(delivery_mode=2, message_id=message_id)
            for body in bodies:
                channel.basic_publish("", queue, body, properties, mandatory=True)

    def take(self, queue: str) -> list[tuple[Any, bytes]]:
        """Takes all messages out of a queue: properties and body of each."""
        found: list[tuple[Any, bytes]] = []
        with self.channel() as channel:
            channel.queue_declare(queue, durable=True)
            while True:
                method, properties, body = channel.basic_get(queue, auto_ack=True)
                if method is None:
                    return found
                found.append((properties, body))

    def waiting(self, queue: str) -> int:
        """How many messages wait in a queue and are with no consumer."""
        with self.channel() as channel:
            return int(channel.queue_declare(queue, durable=True).method.message_count)

    def delete(self, *queues: str) -> None:
        """Removes queues."""
        with self.channel() as channel:
            for queue in queues:
                channel.queue_delete(queue)

    def _takes_connections(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._directory / "out").read_text()
        try:
            with self.channel():
                return True
        except pika.exceptions.AMQPError:
            return False

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        here = self._directory
        environment = {
            **os.environ,
            "HOME": str(here),
            "RABBITMQ_NODENAME": f"tidewire{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(here / "data"),
            "RABBITMQ_LOG_BASE": str(here / "log"),
            "RABBITMQ_PID_FILE": str(here / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(here / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(here / "rabbitmq.conf"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        with (here / "out").open("ab") as out:
            return subprocess.Popen(  # noqa: S603 - the command is made here
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=here,
                env=environment,
                start_new_session=True,
            )
