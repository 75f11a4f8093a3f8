"""Sphinx: furo and MyST, no network, nothing loaded from elsewhere."""

project = "Étude"
author = "The Étude engineers"
copyright = author
extensions = ["myst_parser"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = project
html_theme_options = {"light_css_variables": {"code-font-size": "var(--font-size--small--3)"}}
html_copy_source = False
