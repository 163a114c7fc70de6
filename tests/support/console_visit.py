"""A visit to the console in Chromium: watched for whatever a page should not do, and pictured where that is asked for."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from playwright.sync_api import Browser, Locator, Page, Request, Response, expect

from support.server_process import SECRET
from support.small_png import smaller

PICTURES = "TIDEWIRE_SCREENSHOTS"
"""Names a folder: pictures for the documentation go there (`make screenshots`)."""

DOCUMENTED = frozenset(
    {
        "overview-1280-light",
        "overview-390-dark",
        "queues-390-light",
        "queue-1280-dark",
        "publish-1280-light",
    }
)
"""Those that the documentation shows."""

Theme: TypeAlias = Literal["light", "dark"]

NAMELESS = """
() => [...document.querySelectorAll("a, button, input, select, textarea, [role=img], dialog[open]")]
    .filter((one) => one.checkVisibility() && one.type !== "hidden")
    .filter((one) => !(one.labels?.length || one.ariaLabel || one.getAttribute("aria-labelledby")
        || one.textContent.trim() || one.title))
    .map((one) => one.outerHTML.slice(0, 100))
"""

OUTLINE = """
() => {
    const all = (selector) => [...document.querySelectorAll(selector)].filter((one) => one.checkVisibility());
    const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
    return {mains: all("main").length, h1s: document.querySelectorAll("h1").length,
        doubled: ids.filter((id, place) => ids.indexOf(id) !== place),
        pictures: all("img:not([alt])").length, language: document.documentElement.lang};
}
"""

RING = """
() => {
    const style = getComputedStyle(document.activeElement);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
}
"""


class Window(NamedTuple):
    """How the page is looked at."""

    width: int
    height: int
    theme: Theme

    @property
    def name(self) -> str:
        """As it stands in the names of pictures and tests."""
        return f"{self.width}-{self.theme}"


DESK = Window(1280, 800, "light")


class Visit:
    """One window on the console.

    Attributes:
        faults: what the browser complained of, and requests that failed or went elsewhere.
    """

    def __init__(self, page: Page, url: str, window: Window) -> None:
        self.page = page
        self.url = url
        self.window = window
        self.faults: list[str] = []
        page.on("console", lambda said: self.faults.append(said.text) if said.type != "log" else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("requestfailed", lambda request: self.faults.append(f"failed: {request.url}"))
        page.on("request", self._requested)
        page.on("response", self._answered)

    def _requested(self, request: Request) -> None:
        if not request.url.startswith(f"{self.url}/console"):
            self.faults.append(f"asked elsewhere: {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.faults.append(f"{response.status}: {response.url}")

    # Going about.

    def open(self, place: str = "") -> None:
        """Opens the page at a place such as `#/queues`."""
        self.page.goto(f"{self.url}/console{place}")

    def log_in(self, secret: str = SECRET) -> None:
        """Fills the form in, by keyboard; the field has the focus."""
        expect(self.page.get_by_label("Operator secret")).to_be_focused()
        self.page.keyboard.type(secret)
        self.page.keyboard.press("Enter")

    def enter(self, place: str = "") -> None:
        """Opens the page, and logs in."""
        self.open(place)
        self.log_in()
        expect(self.status).to_have_text("live")

    def go(self, title: str) -> None:
        """Follows a link of the navigation."""
        self.page.get_by_role("navigation", name="Pages").get_by_role("link", name=title).click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text(title)

    @property
    def status(self) -> Locator:
        """The word in the head that says how the connection is."""
        return self.page.locator(".status")

    # Judging.

    def check(self, name: str) -> None:
        """Nothing sticks out, everything has a name; takes the picture where pictures are asked for."""
        width: int = self.page.evaluate("() => document.documentElement.scrollWidth")
        assert width <= self.window.width, f"{name} is {width} wide"
        assert self.page.evaluate(NAMELESS) == []
        expected = {"mains": 1, "h1s": 1, "doubled": [], "pictures": 0, "language": "en"}
        assert self.page.evaluate(OUTLINE) == expected
        self.picture(name)

    def focus_is_visible(self) -> bool:
        """Whether what has the focus shows it."""
        return bool(self.page.evaluate(RING))

    def picture(self, name: str) -> None:
        """Takes a picture for the documentation."""
        folder, whole = pictures(), f"{name}-{self.window.name}"
        if folder is not None and whole in DOCUMENTED:
            self.page.evaluate("() => scrollTo(0, 0)")
            (folder / f"{whole}.png").write_bytes(smaller(self.page.screenshot(animations="disabled")))


def pictures() -> Path | None:
    """The folder for pictures; None when none are to be taken."""
    given = os.environ.get(PICTURES)
    return None if given is None else Path(given)


@contextmanager
def visit(browser: Browser, url: str, window: Window = DESK) -> Iterator[Visit]:
    """A window with a profile of its own, as large and as light as is said."""
    with browser.new_context(
        viewport={"width": window.width, "height": window.height},
        color_scheme=window.theme,
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="UTC",
    ) as context:
        yield Visit(context.new_page(), url, window)
