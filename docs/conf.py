"""Sphinx settings; the pages of methods, the bibliography and the references are generated first."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from generate import write  # noqa: E402  # found only once the folder is on the path

write(HERE)

project = "assay"
copyright = "the assay authors, Apache-2.0"
extensions = ["myst_parser"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "assay"
exclude_patterns = ["_build"]
nitpicky = True
