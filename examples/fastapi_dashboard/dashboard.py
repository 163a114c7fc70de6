"""The routes of the dashboard."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response

from deployments import Deployments
from tidewire.publisher import AsyncPublisher

URL = os.environ.get("DASHBOARD_TIDEWIRE", "http://127.0.0.1:9800")
SECRET = os.environ.get("DASHBOARD_SECRET", "demo-secret")
EMAIL = os.environ.get("DASHBOARD_EMAIL", "ada@demo.example")
API_KEY = os.environ.get("DASHBOARD_KEY", "a" * 32)
VIEWER = 1

publisher = AsyncPublisher(URL, secret=SECRET)
deployments = Deployments(publisher, viewers=[VIEWER])


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Closes the publisher's connections at the end."""
    async with publisher:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/")
def page() -> FileResponse:
    """The page."""
    return FileResponse(Path(__file__).with_name("page.html"))


@app.get("/tidewire.js")
def client() -> Response:
    """Tidewire's client for pages, from the installed package."""
    source = resources.files("tidewire.console") / "static" / "tidewire.js"
    return Response(source.read_bytes(), media_type="text/javascript")


@app.get("/account")
def account() -> dict[str, str]:
    """Whom the page registers as. Here everybody is Ada; an application gives the key of who is logged in."""
    return {"url": URL, "email": EMAIL, "apiKey": API_KEY}


@app.get("/deployments")
def read() -> dict[str, Any]:
    """The state."""
    return deployments.read()


@app.post("/deployments/{number}")
async def put(number: int, state: str) -> dict[str, str]:
    """Changes a deployment, and answers once every page's queue has the event."""
    await deployments.put(number, state)
    return {"result": "confirmed"}
