"""The settings of a server inside Django: what the project says already need not be said again."""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings as project

from tidewire.config import ConfigError, Problem, Settings, load
from tidewire.config.shards import of_one_shard
from tidewire.contrib.django.conf import NAME, Conf

DEFAULT_FILE = Path("tidewire.toml")


def shard_settings(conf: Conf, *, file: Path | None, overrides: Sequence[str]) -> Settings:
    """The settings: overrides over the environment, over the file, over what the setting `TIDEWIRE` says.

    Raises:
        ConfigError: something is wrong with them, or the project could not talk to such a server.
    """
    url = urlsplit(conf.url)
    usual = {
        "server.port": url.port or (443 if url.scheme == "https" else 80),
        "server.secret": conf.secret,
        "auth.kind": ("django",),
        "auth.http_cookies": (project.SESSION_COOKIE_NAME,),
    }
    found = load(
        file=file or (DEFAULT_FILE if DEFAULT_FILE.exists() else None),
        environ=os.environ,
        overrides=overrides,
        defaults=usual,
    )
    if found.server.secret != conf.secret:
        problem = Problem(
            "the server", "server.secret", f"the same as {NAME}['SECRET']", "another value (not shown)"
        )
        raise ConfigError([problem])
    return of_one_shard(found)
