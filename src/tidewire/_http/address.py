"""Where a server is, and the sentence that says why nothing came from there."""

import asyncio
import http.client
import urllib.parse
from typing import NamedTuple

from tidewire._http.values import BadUrl


class Address(NamedTuple):
    """A server's address, taken apart."""

    scheme: str
    host: str
    port: int | None
    prefix: str

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Reads `http(s)://host[:port][/prefix]`; raises `BadUrl`."""
        if not url.isascii() or not url.isprintable() or " " in url:
            raise BadUrl("The server's URL has characters that no URL has")
        try:
            parts = urllib.parse.urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise BadUrl("The server's URL can't be read; write it as http://host:port") from None
        if parts.scheme not in ("http", "https") or not host:
            raise BadUrl("The server's URL must have the form http://host:port or https://host")
        if parts.username is not None or parts.query or parts.fragment:
            raise BadUrl("The server's URL must have no user name, query or fragment")
        return cls(parts.scheme, host, port, parts.path.rstrip("/"))

    @property
    def shown(self) -> str:
        """The address for a sentence."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port is not None else "")

    @property
    def is_secure(self) -> bool:
        """Whether it is spoken to over TLS."""
        return self.scheme == "https"

    def failure(self, error: Exception, timeout: float) -> str:
        """Says why no whole answer came. The types are named, not quoted: a broken server may send anything."""
        if isinstance(error, TimeoutError):
            return f"No answer from {self.shown} within {timeout:g} s"
        if isinstance(error, ConnectionRefusedError):
            return f"Nothing listens at {self.shown}; is the server running?"
        if isinstance(error, http.client.IncompleteRead | asyncio.IncompleteReadError):
            return f"The answer from {self.shown} broke off"
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        return f"No answer from {self.shown}: {reason}"
