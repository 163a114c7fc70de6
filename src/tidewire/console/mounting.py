"""The console as the settings have it."""

from collections.abc import Callable, Mapping

from tidewire.config import Settings
from tidewire.console.pulse import Times
from tidewire.console.routes import Console
from tidewire.http.application import NO_MORE
from tidewire.http.routes import Methods


def console_routes(
    settings: Settings,
    *,
    new_secret: Callable[[], str],
    is_realm_host: Callable[[str], bool],
    times: Times,
) -> Mapping[str, Methods]:
    """The routes of the operators' page, if there is to be one; the arguments are those of `Console`."""
    if not settings.console.enabled:
        return NO_MORE
    console = Console(
        new_secret=new_secret,
        is_realm_host=is_realm_host,
        host=settings.server.host,
        port=settings.server.port,
        session_lifetime=settings.console.session_lifetime,
        times=times,
    )
    return console.table()
