"""A broker with TLS, and one that is reached by the second of several addresses: a real RabbitMQ, and certificates made for it."""

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.broker import Broker
from support.programs import require_programs
from support.server_process import USER_IDS, StartServer, free_port
from support.waiting import eventually
from tidewire._amqp.broker import BrokerLost, connect, urls_of
from tidewire._http import BadUrl
from tidewire.publisher import OneShard, Publisher

pytestmark = pytest.mark.slow

NOTICE = {"event": {"type": "step", "n": 1}, "users": [USER_IDS["ada"]]}


class TlsBroker(Broker):
    """A broker that also listens with TLS, with a certificate for `localhost`."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.tls_port = free_port()
        self.authority = directory / "ca.pem"
        make_certificates(directory)
        with (directory / "rabbitmq.conf").open("a") as configuration:
            configuration.write(
                f"listeners.ssl.default = 127.0.0.1:{self.tls_port}\n"
                f"ssl_options.cacertfile = {self.authority}\n"
                f"ssl_options.certfile = {directory / 'server.pem'}\n"
                f"ssl_options.keyfile = {directory / 'server.key'}\n"
                "ssl_options.verify = verify_none\n"
            )

    def address(self, host: str = "localhost", port: int | None = None) -> str:
        """Where it is, with TLS."""
        return f"amqps://guest:guest@{host}:{port or self.tls_port}/"


def make_certificates(directory: Path) -> None:
    """An authority, and a certificate that it has signed."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)  # noqa: S603, S607 - our own words

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(
        *("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2"),
        *("-subj", "/CN=Tidewire tests", "-addext", "keyUsage=critical,keyCertSign"),
    )
    openssl("req", *curve, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (directory / "names").write_text("subjectAltName=DNS:localhost\n")
    openssl(
        *("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
        *("-out", "server.pem", "-days", "2", "-extfile", "names"),
    )


@pytest.fixture(scope="module")
def tls_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsBroker]:
    require_programs("openssl")
    broker = TlsBroker(tmp_path_factory.mktemp("tls-broker"))
    try:
        broker.start()
        yield broker
    finally:
        broker.destroy()


def test_notices_come_through_a_broker_with_tls(
    tls_broker: TlsBroker, start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls_broker.authority))
    queue = f"notices-{uuid.uuid4()}"
    server = start_server(f"bus.url={tls_broker.address()}", f"bus.queue={queue}")
    events = server.register("ada", event_types=["step"])
    with Publisher(tls_broker.address(), shards=OneShard(queue)) as publisher:
        publisher.send([NOTICE])

    eventually(lambda: server.events("ada", events), what="the event is there")
    assert [event["n"] for event in server.events("ada", events)] == [1]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_certificate_of_an_unknown_authority_or_for_another_host_is_refused(
    tls_broker: TlsBroker, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    if host != "localhost":
        monkeypatch.setenv("SSL_CERT_FILE", str(tls_broker.authority))

    with pytest.raises(BrokerLost, match="certificate verify failed"):
        await connect(tls_broker.address(host), name="test")


async def test_the_first_node_that_can_be_reached_is_taken(broker: Broker) -> None:
    away = free_port()
    url = f"amqp://guest:guest@127.0.0.1:{away},127.0.0.1:{broker.port}/"

    connection = await connect(url, name="test")

    assert await connection.length(f"none-{uuid.uuid4()}") is None
    await connection.close()


async def test_when_none_can_be_reached_each_is_named_without_the_password() -> None:
    first, second = free_port(), free_port()

    with pytest.raises(BrokerLost) as lost:
        await connect(f"amqp://guest:hunter2@127.0.0.1:{first},127.0.0.1:{second}/", name="test")

    assert f"127.0.0.1:{first}" in str(lost.value)
    assert f"127.0.0.1:{second}" in str(lost.value)
    assert "hunter2" not in str(lost.value)


def test_a_publisher_and_a_server_go_on_at_the_node_that_is_there(
    broker: Broker, start_server: StartServer
) -> None:
    queue = f"notices-{uuid.uuid4()}"
    url = f"amqp://guest:guest@127.0.0.1:{free_port()},127.0.0.1:{broker.port}/"
    server = start_server(f"bus.url={url}", f"bus.queue={queue}")
    events = server.register("ada", event_types=["step"])
    with Publisher(url, shards=OneShard(queue)) as publisher:
        publisher.send([NOTICE])

    eventually(lambda: server.events("ada", events), what="the event is there")


def test_a_publisher_says_what_is_wrong_with_an_address_among_several() -> None:
    with pytest.raises(BadUrl, match="commas"):
        Publisher("amqp://guest:guest@127.0.0.1:5672,:0/")


@pytest.mark.parametrize(
    ("url", "urls"),
    [
        ("amqp://one/", ["amqp://one/"]),
        ("amqp:///", ["amqp:///"]),
        ("amqps://u:p,@one:1,[::1]:2/v?x=y", ["amqps://u:p,@one:1/v?x=y", "amqps://u:p,@[::1]:2/v?x=y"]),
    ],
)
def test_an_address_of_several_hosts_is_several_addresses(url: str, urls: list[str]) -> None:
    assert urls_of(url) == urls
