"""Secrets and keys of the configuration: given, read from a file, or made at the first start."""

import os
import re
import secrets
import stat
from collections.abc import Collection
from pathlib import Path

from tidewire.config.checks import ConfigError, Problem

SECRET_BYTES = 32  # 256 bits: beyond guessing, and 43 characters to paste


OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""What nobody but the owner may do."""


KEY = "server.secret_file"


ROOT = 0
"""The user who can change every file anyway."""


def shared_secret(*, secret: str, secret_file: Path | None, directory: Path) -> str:
    """Gives the shared secret (R6.66).

    Args:
        secret: `server.secret`; it counts when not empty.
        secret_file: `server.secret_file`; it counts when there is no `secret`, and must exist.
        directory: the state directory; without the other two the secret is kept in its file `secret`, which
            is made, with the directory, when it is not there.

    Raises:
        ConfigError: the file can't be read or made, is open to others than its owner, belongs to another user than the
            server's or root, or holds no secret.
    """
    if secret:
        return secret
    owners = {os.geteuid(), ROOT}
    if secret_file is not None:
        return _read(secret_file, owners)
    kept = directory / "secret"
    _make_if_missing(kept)
    return _read(kept, owners)


def check_secret(*, secret: str, secret_file: Path | None, directory: Path) -> str:
    """Checks what `shared_secret` would use, makes nothing, and says in words where it comes from.

    When root checks for a server that runs as another user, that is the user who has the state directory.

    Raises:
        ConfigError: as `shared_secret`.
    """
    if secret:
        return "server.secret"
    kept = secret_file or directory / "secret"
    if secret_file is None and not _may_be_there(kept):
        return f"{kept}, to be made at the start"
    _read(kept, {os.geteuid(), ROOT, *_owner_for_root(directory)})
    return str(kept)


def _owner_for_root(directory: Path) -> set[int]:
    try:
        return {directory.stat().st_uid} if os.geteuid() == ROOT else set()
    except OSError:
        return set()


def _may_be_there(file: Path) -> bool:
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # whoever reads it is told why that can't be done
    return True


def _read(file: Path, owners: Collection[int]) -> str:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:  # noqa: PTH123 - the mode is asked of the very file that is read
            found = os.fstat(descriptor)
            content = stream.read()
    except OSError as error:
        raise _wrong(file, "a file that can be read", (error.strerror or str(error)).lower()) from None
    if found.st_uid not in owners:
        expected = f"a file of the user that the server runs as, so that nobody else can change it: chown USER {file}"
        raise _wrong(file, expected, f"one of the user with the number {found.st_uid}")
    mode = stat.S_IMODE(found.st_mode)
    if mode & OTHERS:
        expected = f"a file that only its owner can use: chmod 600 {file}"
        raise _wrong(file, expected, f"mode {mode:04o}")
    text = content.strip()
    if not re.fullmatch(rb"[!-~]+", text):
        expected = "one secret of printable ASCII characters without spaces"
        raise _wrong(file, expected, "other bytes (not shown)" if text else "nothing")
    return text.decode()


def _make_if_missing(file: Path) -> None:
    """Makes the file with a new secret unless it is there; when another process makes it at the same time, the first stays.

    The secret is written beside the file and linked to its name when it is whole, so that neither a crash
    nor a second start can meet half of it.
    """
    draft = file.with_name(f".secret.{secrets.token_hex(8)}")
    try:
        if file.exists():
            return
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "w", encoding="ascii") as stream:  # noqa: PTH123 - made with mode 0600 above
                stream.write(f"{secrets.token_urlsafe(SECRET_BYTES)}\n")
                stream.flush()
                os.fsync(descriptor)
            _link(draft, file)
        finally:
            draft.unlink()
    except OSError as error:
        expected = "a directory in which the secret can be kept, or server.secret"
        raise _wrong(file, expected, (error.strerror or str(error)).lower()) from None


def _link(draft: Path, file: Path) -> None:
    try:
        file.hardlink_to(draft)
    except FileExistsError:
        return  # another process was first; its secret is the one that is read back


def _wrong(file: Path, expected: str, found: str) -> ConfigError:
    return ConfigError([Problem(str(file), KEY, expected, found)])


WRITABLE = stat.S_IWGRP | stat.S_IWOTH
"""By others than its owner."""


def read_key(file: Path, name: str) -> str:
    """The key in a file, without the spaces and line ends around it.

    Raises:
        ConfigError: the file can't be read, can be written by others than its owner, or holds nothing.
    """
    try:
        with file.open(encoding="ascii") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            text = stream.read().strip()
    except (OSError, ValueError) as error:
        found = (getattr(error, "strerror", None) or "other bytes than ASCII").lower()
        raise ConfigError([Problem(str(file), name, "a file with a key that can be read", found)]) from None
    if mode & WRITABLE:
        # Public or not: whoever can put another key there can say who anybody is.
        expected = f"a file that only its owner can write: chmod go-w {file}"
        raise ConfigError([Problem(str(file), name, expected, f"mode {mode:04o}")])
    if not text:
        raise ConfigError([Problem(str(file), name, "a file with a key", "nothing")])
    return text
