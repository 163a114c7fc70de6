"""`tidewire nginx`: the configuration of nginx in front of the shards."""

from dataclasses import replace
from pathlib import Path

import click

from tidewire.cli.nginx_text import Front, http_text, whole_text
from tidewire.cli.settings import load_settings
from tidewire.config import ConfigError, Problem
from tidewire.config.shard_map import read_shard_map
from tidewire.config.shard_settings import shard_map_of
from tidewire.core.shard_map import ShardMap, even_map


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
