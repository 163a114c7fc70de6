"""`tidewire nginx`: the configuration of nginx in front of all shards."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from tidewire.cli.options import load_settings
from tidewire.cluster.peers import FORWARDED
from tidewire.config import ConfigError, Problem
from tidewire.config.shards import read_shard_map, shard_map_of
from tidewire.http.app import PUBLIC
from tidewire.sharding.shard_map import ShardMap, even_map

KEPT_ALIVE = 10_000
"""Connections to each shard that an nginx worker keeps between requests (R9.8)."""


READ_TIMEOUT = 120
"""Seconds: the longest poll is answered after 85."""


BODY_MOST = "1m"
"""Of a request through the proxy: those of clients are forms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Front:
    """What a shard map does not say.

    Attributes:
        listen: what nginx listens on, as its `listen` directive has it.
        certificate: for TLS, with `key`.
        connections: of one worker; a waiting client takes two.
        run_directory: where pid and temporary files go; None leaves them where the distribution has them.
    """

    listen: str
    certificate: Path | None = None
    key: Path | None = None
    connections: int = 65_536
    run_directory: Path | None = None


def whole_text(shard_map: ShardMap, front: Front) -> str:
    """A complete configuration."""
    inner = [
        "access_log off;",
        "server_tokens off;",
        # A map with thousands of realms does not fit what nginx takes by itself.
        "map_hash_max_size 65536;",
        "map_hash_bucket_size 512;",
        *_temporary_files(front),
        "",
        *_http_lines(shard_map, front),
    ]
    lines = [
        f"# Made by `tidewire nginx` of version {shard_map.version} of the shard map; make it anew when that changes.",
        "worker_processes auto;",
        f"worker_rlimit_nofile {2 * front.connections};",
        *([] if front.run_directory is None else [f"pid {_quoted(front.run_directory / 'nginx.pid')};"]),
        "events {",
        f"    worker_connections {front.connections};",
        "}",
        "http {",
        *_indented(inner),
        "}",
    ]
    return "\n".join(lines) + "\n"


def http_text(shard_map: ShardMap, front: Front) -> str:
    """The part that belongs into an `http` block that is there already."""
    return "\n".join(_http_lines(shard_map, front)) + "\n"


def _temporary_files(front: Front) -> list[str]:
    if front.run_directory is None:
        return []
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return [f"{kind}_temp_path {_quoted(front.run_directory / kind)};" for kind in kinds]


def _http_lines(shard_map: ShardMap, front: Front) -> list[str]:
    groups = dict.fromkeys([*shard_map.groups(), *((shard,) for shard in range(len(shard_map.shards)))])
    return [
        *_map(shard_map),
        "",
        *(line for group in groups for line in _upstream(shard_map, group)),
        *_server(shard_map, front),
    ]


def _map(shard_map: ShardMap) -> list[str]:
    """Which upstream a host's requests go to; the exact ones come before the patterns whatever their order."""
    lines = [f"default {_name(shard_map, shard_map.default)};"]
    lines += [f"{host} {_name(shard_map, shards)};" for host, shards in shard_map.hosts.items()]
    lines += [
        f"{_quoted(f'~*^(?:{entry.pattern})')} {_name(shard_map, entry.shards)};"
        for entry in shard_map.patterns
    ]
    return ["map $host $tidewire_shards {", *_indented(lines), "}"]


def _upstream(shard_map: ShardMap, group: Sequence[int]) -> list[str]:
    addresses = [shard_map.shards[shard] for shard in group]
    lines = [
        *(["random;"] if len(group) > 1 else []),
        # A shard that restarts is back in a second: to take it out for longer would help nobody.
        *(f"server {_host(address.host)}:{address.port} max_fails=0;" for address in addresses),
        f"keepalive {KEPT_ALIVE};",
        "keepalive_timeout 60s;",
    ]
    return [f"upstream {_name(shard_map, group)} {{", *_indented(lines), "}", ""]


def _server(shard_map: ShardMap, front: Front) -> list[str]:
    is_secure = front.certificate is not None and front.key is not None
    tls = [f"ssl_certificate {_quoted(front.certificate)};", f"ssl_certificate_key {_quoted(front.key)};"]
    lines = [
        f"listen {front.listen}{' ssl' if is_secure else ''};",
        *(tls if is_secure else []),
        f"client_max_body_size {BODY_MOST};",
        "",
        "# A request that was sent on is not sent on again; what a client says of it does not count.",
        'set $tidewire_sent_on "";',
        f"proxy_set_header {FORWARDED} $tidewire_sent_on;",
        "proxy_http_version 1.1;",
        'proxy_set_header Connection "";',
        "proxy_set_header Host $host;",
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        "proxy_set_header X-Forwarded-Proto $scheme;",
        "proxy_set_header X-Real-Ip $remote_addr;",
        "proxy_buffering off;",
        f"proxy_read_timeout {READ_TIMEOUT}s;",
        "proxy_next_upstream off;",
        "",
        "# The public routes. Internal ones, /health, /metrics and /console stay inside.",
        f"location ~ {public_pattern()} {{",
        "    proxy_pass http://$tidewire_shards;",
        "}",
        "",
        *(line for shard in range(len(shard_map.shards)) for line in _sent_on(shard_map, shard)),
        "# If the application has the same address, pass the rest on to it instead.",
        "location / {",
        "    return 404;",
        "}",
    ]
    return ["server {", *_indented(lines), "}"]


def _sent_on(shard_map: ShardMap, shard: int) -> list[str]:
    """Where a shard sends a request on to another: by path for GET, by name for what must keep method and body."""
    name, port = _name(shard_map, (shard,)), shard_map.shards[shard].port
    return [
        f"location /internal/tornado/{port}/ {{",
        "    internal;",
        '    set $tidewire_sent_on "nginx";',
        f"    proxy_pass http://{name}/;",
        "}",
        f"location @{name} {{",
        '    set $tidewire_sent_on "nginx";',
        f"    proxy_pass http://{name};",
        "}",
        "",
    ]


def public_pattern() -> str:
    """The paths of the public routes, and no others."""
    names = "|".join(path.removeprefix("v1/") for path in PUBLIC)
    return f"^/(api/v1|json|json/v1)/({names})$"


def _name(shard_map: ShardMap, shards: Iterable[int]) -> str:
    return "_".join(["tidewire", *(str(shard_map.shards[shard].port) for shard in shards)])


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _quoted(text: object) -> str:
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" if line else "" for line in lines]


@click.command("nginx")
@click.option("--config", type=click.Path(path_type=Path), help="Settings file [tidewire.toml, if there].")
@click.option("--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", help="Any setting.")
@click.option(
    "--also",
    metavar="NEWMAP",
    type=click.Path(path_type=Path),
    help="A map that comes next: shards may redirect to its shards, but nobody else is sent there yet.",
)
@click.option("--listen", help="What nginx listens on [80, with a certificate 443].")
@click.option("--certificate", type=click.Path(path_type=Path), help="The certificate, for TLS.")
@click.option("--key", type=click.Path(path_type=Path), help="Its key.")
@click.option("--run-directory", type=click.Path(path_type=Path), help="For nginx's pid and temporary files.")
@click.option("--http-only", is_flag=True, help="Only what belongs into an http block.")
def nginx_command(
    *,
    config: Path | None,
    settings: tuple[str, ...],
    also: Path | None,
    listen: str | None,
    certificate: Path | None,
    key: Path | None,
    run_directory: Path | None,
    http_only: bool,
) -> None:
    """Print a configuration of nginx for the shards of the map, or for the one server."""
    if (certificate is None) is not (key is None):
        raise click.UsageError("give --certificate and --key together")
    loaded = load_settings(config, list(settings))
    shard_map = shard_map_of(loaded) or even_map([loaded.server.port], host=loaded.server.host)
    if also is not None:
        shard_map = with_shards_of(shard_map, also)
    front = Front(
        listen=listen or ("80" if certificate is None else "443"),
        certificate=None if certificate is None else certificate.absolute(),
        key=None if key is None else key.absolute(),
        run_directory=None if run_directory is None else run_directory.absolute(),
    )
    click.echo(http_text(shard_map, front) if http_only else whole_text(shard_map, front), nl=False)


def with_shards_of(shard_map: ShardMap, file: Path) -> ShardMap:
    """The map with the further shards of the one in a file, which serve nobody.

    Raises:
        ConfigError: that one is wrong, or its shards are others.
    """
    newer = read_shard_map(file)
    common = min(len(newer.shards), len(shard_map.shards))
    if newer.shards[:common] != shard_map.shards[:common]:
        expected = "the shards of the map in force first, as far as they stay"
        raise ConfigError([Problem(str(file), "shard", expected, "others")])
    return replace(shard_map, shards=shard_map.shards + newer.shards[common:])
