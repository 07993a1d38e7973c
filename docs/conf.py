"""How the site is built: `sphinx-build -W --keep-going docs FOLDER`.

Its pages are Markdown, as a code host shows them; a link that leads nowhere is an error.
"""

from __future__ import annotations

from rbee import __version__

project = "rbee"
copyright = "the authors of rbee"
release = version = __version__

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
nitpicky = True
smartquotes = False  # a flag has two dashes

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

html_theme = "furo"
html_title = f"rbee {__version__}"
html_show_sourcelink = False
