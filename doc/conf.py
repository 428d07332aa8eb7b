"""How the documentation is built.

    python -m sphinx -W --keep-going -n -b html doc doc/_build/html

The pages and the examples need no network. With SKRIEM_DOC_ONLINE set, names of scikit-learn,
NumPy, SciPy and torch become links to their documentation, and ``-b linkcheck`` follows
external links as well.
"""

import os
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import architecture  # noqa: E402
from sphinx_gallery.sorting import ExplicitOrder  # noqa: E402

import skriem  # noqa: E402

ONLINE = bool(os.environ.get("SKRIEM_DOC_ONLINE"))

project = "skriem"
author = "The skriem developers"
project_copyright = author
version = release = skriem.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
if ONLINE:
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "scipy": ("https://docs.scipy.org/doc/scipy", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "matplotlib": ("https://matplotlib.org/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
    }

exclude_patterns = ["_build", "_templates", "**/*.ipynb"]
templates_path = ["_templates"]
default_role = "literal"
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

# Every name in the text has to lead somewhere; those of other packages only do online.
nitpicky = True
others = r"(sklearn|numpy|np|scipy|torch|matplotlib|pandas|polars|joblib|dask)\..*"
nitpick_ignore_regex = [] if ONLINE else [("py:.*", others)]
# Fields of the tuple that geodesics come in are described on its page, as a list.
nitpick_ignore_regex += [("py:attr", r"Geodesics\..*")]
linkcheck_ignore = [] if ONLINE else [r"https?://.*"]

# Quotes are those of code.
smartquotes_action = "De"

# Reference ---------------------------------------------------------------------------------

autosummary_generate = True
autodoc_typehints = "none"
# Names of methods alone fit beside the page.
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
# What is left out asks for sections that not everything needs, or is broken by methods that
# come from scikit-learn.
numpydoc_validation_checks = {
    *("GL03", "GL05", "GL06", "GL07", "GL08", "GL09", "GL10"),
    *("SS01", "SS02", "SS03", "SS04"),
    *("PR02", "PR03", "PR04", "PR05", "PR06", "PR10"),
    *("RT04", "RT05", "YD01", "SA02", "SA03", "SA04"),
}
# Methods that are no part of what a class is for: those of every scikit-learn estimator, of tuples
# and numbers, and what metrics offer to estimators alone.
autosummary_context = {
    "hidden": sorted(
        {"get_metadata_routing", "get_params", "set_params", "set_output"}
        | {"make_shortcuts", "replaced", "space_for", "spaces_for"}
        | {*dir(tuple), *dir(int)}
    ),
    "properties": {"Geodesics": ["energy", "converged"], "Status": ["message"]},
}

# Doctests of docstrings are run by pytest; here those of the pages.
doctest_test_doctest_blocks = ""

# Gallery -----------------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"[\\/]plot_",
    "ignore_pattern": r"(^|[\\/])(?!plot_)[^\\/]*\.py$",
    "within_subsection_order": ExplicitOrder(
        [
            *("plot_clusters.py", "plot_digits_clusters.py", "plot_number_of_clusters.py"),
            *("plot_density.py", "plot_interpolation.py", "plot_precomputed.py"),
            *("*", "plot_own_decoder.py", "plot_add_a_metric.py"),
        ]
    ),
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skriem",),
    "reference_url": {"skriem": None},
    "abort_on_example_error": True,
    "write_computation_times": False,
    "download_all_examples": False,
    "show_memory": False,
    "remove_config_comments": True,
    "matplotlib_animations": False,
    # What else an expression at the end of a block is says nothing.
    "capture_repr": ("_repr_html_",),
}

# Pages -------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "skriem"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_favicon = "_static/logo.svg"
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
html_copy_source = False
# Pages that are not part of a section.
ALONE = ["index", "measured", "geometry", "clustering", "comparison", "contributing", "versions"]
html_sidebars = dict.fromkeys([*ALONE, "changelog"], [])
html_theme_options = {
    "logo": {"image_light": "_static/logo.svg", "image_dark": "_static/logo.svg", "text": "skriem"},
    "header_links_before_dropdown": 5,
    "navbar_end": ["theme-switcher"],
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
}


def setup(app):
    drawn = HERE / "generated" / "architecture.svg"
    drawn.parent.mkdir(exist_ok=True)
    architecture.draw(Path(skriem.__file__).parent, drawn)
