"""Middleware of the project's own, which notes every request that comes through it."""

import os
from collections.abc import Callable
from pathlib import Path

from django.http import HttpRequest, HttpResponse


def noting_requests(next_one: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Writes the path of each request into a file, if the environment names one."""
    path = os.environ.get("TEST_REQUESTS")

    def note(request: HttpRequest) -> HttpResponse:
        if path is not None:
            with Path(path).open("a") as file:
                file.write(f"{request.path}\n")
        return next_one(request)

    return note
