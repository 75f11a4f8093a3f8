"""Sphinx: furo and MyST, no network, nothing loaded from elsewhere."""

project = "Étude"
author = "The Étude engineers"
copyright = author
extensions = ["myst_parser"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = project
html_copy_source = False
