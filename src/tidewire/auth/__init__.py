"""Who asks: the users file, and HTTP Basic against it."""

from tidewire.auth.authenticator import Reloaded, UsersFileAuthenticator
from tidewire.auth.users_file import UsersFileError, UsersSnapshot, read_users

__all__ = ["Reloaded", "UsersFileAuthenticator", "UsersFileError", "UsersSnapshot", "read_users"]
