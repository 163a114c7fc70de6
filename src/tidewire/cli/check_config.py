"""`tidewire check-config`: everything that would keep a server from starting, and what it would start with."""

import errno
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import click

from tidewire._text import counted, escaped
from tidewire.app.telemetry import otel_module
from tidewire.auth import UsersFileAuthenticator, UsersFileError
from tidewire.cli.errors import WRONG_USAGE
from tidewire.cli.options import config_option, load_settings, set_option
from tidewire.config import ConfigError, Problem, Settings, check_secret
from tidewire.config.shards import shard_map_of
from tidewire.storage.permissions import readable_by_others, writable_by_others


@click.command("check-config")
@config_option
@set_option
def check_config_command(config: Path | None, settings: tuple[str, ...]) -> None:
    """Check the settings, users file, secret, state directory, address and extras; change nothing."""
    try:
        loaded = load_settings(config, list(settings))
    except ConfigError as error:
        _fail([*map(str, error.problems), "the rest is checked when the settings are right"])
    problems: list[str] = []
    summary = ["settings         right"]
    for check in CHECKS:
        try:
            summary += check(loaded)
        except ConfigError as error:
            problems += map(str, error.problems)
        except UsersFileError as error:
            problems += [f"{error.source}: {problem}" for problem in error.problems]
    if problems:
        _fail(problems)
    for line in summary:
        click.echo(escaped(line))


def _fail(problems: list[str]) -> NoReturn:
    for problem in problems:
        click.echo(escaped(f"tidewire: {problem}"), err=True)
    sys.exit(WRONG_USAGE)


def _shards(settings: Settings) -> Iterator[str]:
    shard_map = shard_map_of(settings)
    if shard_map is not None:
        own = shard_map.address(settings.shards.index)
        version, count = shard_map.version, len(shard_map.shards)
        yield f"shard map        {settings.shards.map_file}: version {version}, {counted(count, 'shard')}, this one {own.host}:{own.port}"


def _users(settings: Settings) -> Iterator[str]:
    path = settings.auth.users_file
    users = UsersFileAuthenticator(path=path).users()
    active = sum(user.active for user in users)
    yield f"users file       {path}: {counted(len(users), 'user')}, {active} of them active"


def _secret(settings: Settings) -> Iterator[str]:
    source = check_secret(
        secret=settings.server.secret,
        secret_file=settings.server.secret_file,
        directory=settings.storage.directory,
    )
    yield f"secret           {source}"


def _directory(settings: Settings) -> Iterator[str]:
    """The directory itself, or the nearest one above it in which it would be made."""
    directory = settings.storage.directory
    try:
        there = next(path for path in (directory, *directory.parents) if path.exists())
        is_directory = there.is_dir()
    except OSError as error:
        raise _no_directory(f"{directory}, which can't be reached ({error.strerror})") from None
    if not is_directory:
        raise _no_directory(f"{there}, which is no directory")
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        raise _no_directory(f"{there}, which can't be written")
    if there != directory:
        yield f"state directory  {directory}, to be made at the start"
        return
    problem = writable_by_others(directory)
    if problem is not None:
        raise ConfigError(
            [Problem("settings", "storage.directory", "a directory that only its owner can write", problem)]
        )
    open_to_others = readable_by_others(directory)
    yield f"state directory  {directory if open_to_others is None else open_to_others}"


def _no_directory(found: str) -> ConfigError:
    return ConfigError([Problem("settings", "storage.directory", "a directory that can be written", found)])


def _address(settings: Settings) -> Iterator[str]:
    """Whether the address can be had; that it is taken is no problem of the settings: a server may be running."""
    host, port = settings.server.host, settings.server.port
    taken = ""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except (OSError, UnicodeError) as error:
        if not isinstance(error, OSError) or error.errno != errno.EADDRINUSE:
            reason = (isinstance(error, OSError) and error.strerror) or "no name is written like this"
            found = f"{host}:{port} ({reason})"
            expected = "an address of this machine that may be listened on"
            raise ConfigError([Problem("settings", "server.host", expected, found)]) from None
        taken = ", in use at this moment: by the server that these settings are of?"
    yield f"address          {host}:{port}{taken}"


def _tracing(settings: Settings) -> Iterator[str]:
    """Whether what traces is installed; no word of what is off."""
    if settings.tracing.endpoint:
        otel_module()
        yield f"tracing          {settings.tracing.endpoint}"


CHECKS: tuple[Callable[[Settings], Iterator[str]], ...] = (
    _shards,
    _users,
    _secret,
    _directory,
    _address,
    _tracing,
)
