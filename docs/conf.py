"""How Sphinx builds the site: MyST pages, the furo theme, and nothing that needs a network."""

from tidewire import __version__

project = "Tidewire"
project_copyright = "the Tidewire authors, Apache-2.0"
release = version = __version__

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_title = f"Tidewire {__version__}"
html_copy_source = False
html_show_sphinx = False
