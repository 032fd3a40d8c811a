"""How Sphinx makes the site: docs/site/build.py gathers the sources into one folder and calls it."""

import sys
from pathlib import Path

from palate import __version__

sys.path.insert(0, str(Path(__file__).parent / "site"))  # where the extension lies

project = "palate"
author = "the palate authors"
project_copyright = author
version = release = __version__
language = "en"

extensions = ["myst_parser", "sphinx_copybutton", "linking"]
source_suffix = {".md": "markdown"}
root_doc = "index"
smartquotes = False  # --test is no dash
nitpicky = True
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]
suppress_warnings = ["myst.header"]  # pages begin where their subject begins, not all at level 1
maximum_signature_line_length = 80
add_module_names = True
toc_object_entries_show_parents = "hide"
python_use_unqualified_type_names = True
linkcheck_ignore = [r"http://(127\.0\.0\.1|localhost).*"]
linkcheck_anchors = False
linkcheck_timeout = 20

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_selector = "div:not(.output) > div.highlight > pre"

html_theme = "pydata_sphinx_theme"
html_title = "palate"
html_short_title = "palate"
html_static_path = [str(Path(__file__).parent / "site" / "static")]
html_css_files = ["palate.css"]
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_show_search_summary = False  # it is fetched, which pages on a disk may not do
html_theme_options = {
    "logo": {"text": "palate"},
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "navigation_depth": 3,
    "footer_start": [],
    "footer_end": [],
    "back_to_top_button": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "secondary_sidebar_items": ["page-toc"],
}
