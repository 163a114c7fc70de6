"""The project's own pages beside the server's, on one port: for development, where no proxy puts the two together."""

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tidewire.http.app import all_routes


class Beside:
    """Asks the server for its own paths, and the project for all others."""

    def __init__(self, server: ASGIApp, pages: ASGIApp) -> None:
        self._server = server
        self._pages = pages
        self._routes = [Route(path, server) for path in all_routes()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        is_the_server_s = any(route.matches(scope)[0] is not Match.NONE for route in self._routes)
        await (self._server if is_the_server_s else self._pages)(scope, receive, send)


def beside_the_server(server: ASGIApp) -> ASGIApp:
    """The server's application with the project's pages."""
    pages = get_asgi_application()
    if settings.DEBUG and apps.is_installed("django.contrib.staticfiles"):
        pages = ASGIStaticFilesHandler(pages)
    return Beside(server, pages)
