"""The console on a site in process, and a browser's part: the cookie, the token, and the headers that browsers send."""

import itertools
from dataclasses import dataclass, field
from typing import Any

from support import asgi
from support.raw_http import Answer
from support.server_process import SECRET
from support.site import LocalSite
from tidewire.console.live import NO_TIMES, Times
from tidewire.console.routes import Console
from tidewire.http.app import build_application

HOST = "127.0.0.1:9800"
LIFETIME = 3600.0
COOKIE = "tidewire_console_9800"


@dataclass
class ConsoleSite:
    """The console, and one browser that uses it."""

    local: LocalSite
    cookie: str = ""
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def ask(self, method: str, path: str, **request: Any) -> Answer:
        """A request as a page of the console would send it; `headers` of None are left out."""
        own = {"host": HOST, "sec-fetch-site": "same-origin", **self.headers}
        if self.cookie:
            own["cookie"] = f"{COOKIE}={self.cookie}"
        if method != "GET":
            own |= {"origin": f"http://{HOST}", "x-console-token": self.token}
        headers = {**own, **request.pop("headers", {})}
        sent = {name: value for name, value in headers.items() if value is not None}
        return await asgi.ask(self.local.app, method, path, headers=sent, **request)

    async def get(self, path: str, **request: Any) -> Answer:
        """A GET below `/console`."""
        return await self.ask("GET", f"/console{path}", **request)

    async def post(self, path: str, **request: Any) -> Answer:
        """A POST below `/console`."""
        return await self.ask("POST", f"/console{path}", **request)

    async def log_in(self, secret: str = SECRET, **request: Any) -> Answer:
        """Logs in, and keeps what a browser and the page keep."""
        answer = await self.post("/login", form={"secret": secret}, **request)
        if answer.status == 200:
            self.cookie = answer.headers["set-cookie"].partition(";")[0].partition("=")[2]
            self.token = answer.json["token"]
        return answer


def console_site(
    local: LocalSite, *, lifetime: float = LIFETIME, times: Times = lambda: NO_TIMES
) -> ConsoleSite:
    """The console on that site; its secrets are counted, so that tests know them."""
    numbers = itertools.count()
    console = Console(
        new_secret=lambda: f"secret-{next(numbers)}",
        is_realm_host=lambda host: host.partition(":")[0] == "test.example",
        host="console.internal",
        port=9800,
        session_lifetime=lifetime,
        times=times,
    )
    local.app = build_application(local.context, console.table())
    return ConsoleSite(local)
