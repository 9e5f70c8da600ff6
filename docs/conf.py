"""Configuration of Sphinx: ``sphinx-build -W --keep-going docs docs/_build/html``."""

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

import cofm_sklearn  # noqa: E402

project = "cofm_sklearn"
author = "The cofm_sklearn developers"
copyright = author
version = release = cofm_sklearn.__version__
_settings = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))
_repository = _settings["project"].get("urls", {}).get("Repository")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "repository",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
default_role = "code"
toc_object_entries_show_parents = "hide"
nitpicky = True
# Names of other libraries; their inventories would need a network.
nitpick_ignore_regex = [
    ("py:.*", r"(sklearn|numpy|scipy|pandas|imblearn|torch|modAL|skorch)\..*"),
]

# MyST
myst_enable_extensions = ["attrs_block", "dollarmath"]
myst_heading_anchors = 3

# Formulas without a script from elsewhere.
html_math_renderer = "mathml"

# API
autosummary_generate = True
autodoc_typehints = "none"
autodoc_default_options = {"member-order": "bysource"}
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# Examples
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"__init__\.py|/course/|/notebooks/",
    "within_subsection_order": "gallery_order.ExampleOrder",
    "backreferences_dir": "generated/backlinks",
    "doc_module": ("cofm_sklearn",),
    "abort_on_example_error": True,
    "show_memory": False,
    "write_computation_times": False,
    "remove_config_comments": True,
    "download_all_examples": False,
    "matplotlib_animations": False,
}

# HTML
html_theme = "pydata_sphinx_theme"
html_title = f"cofm_sklearn {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "logo": {"text": f"cofm_sklearn {version}"},
    # A link in the header, once pyproject.toml has an address.
    "icon_links": [
        {"name": "Repository", "url": _repository, "icon": "fa-solid fa-code-branch"}
    ]
    if _repository
    else [],
    "header_links_before_dropdown": 5,
    "navbar_align": "left",
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {
    "index": [],
    "getting_started": [],
    "course": [],
    "coming_from": [],
    "features": [],
    "faq": [],
    "glossary": [],
    "bibliography": [],
    "changelog": [],
}
copybutton_exclude = ".linenos, .gp, .go"


def _skip(app, what, name, obj, skip, options):
    # Fields of named tuples stand in the section Attributes.
    if type(obj).__name__ == "_tuplegetter":
        return True
    # Metadata routing of scikit-learn, the same in every estimator.
    if name == "get_metadata_routing" or (
        name.startswith("set_") and "_request" in name
    ):
        return True
    return None


def setup(app):
    """Connect to Sphinx."""
    app.connect("autodoc-skip-member", _skip)
