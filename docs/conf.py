"""`make docs` writes these pages, the README and the docstrings as a site to `site/`."""

from reconpatch import __version__

project = "ReConPatch, measured"
author = ""
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["sample-report"]
html_theme = "furo"
html_title = project
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False

myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True}

# scikit-learn adds these, with labels that only its own pages have.
autodoc_default_options["exclude-members"] = "set_fit_request,set_predict_request,set_score_request"
