"""`make reference`: writes every generated page of the documentation's reference."""

from pathlib import Path

from reference import capabilities, event_types, metrics, openapi, received, settings

PAGES = (
    (capabilities, "capabilities"),
    (event_types, "event-types"),
    (metrics, "metrics"),
    (openapi, "openapi"),
    (received, "what-clients-receive"),
    (settings, "settings"),
)
"""Each module that renders a page, and the page's name."""

DOCUMENTS = Path(__file__).parents[2] / "docs" / "reference"


def write_pages(folder: Path) -> None:
    """Writes every page into a folder."""
    for module, name in PAGES:
        (folder / f"{name}.md").write_text(module.render(), encoding="utf-8")


if __name__ == "__main__":
    write_pages(DOCUMENTS)
