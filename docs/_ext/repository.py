"""Links between files of the repository, made to work in the site as well.

On a Git forge ``../benchmarks/results/speed.md`` and ``../CONTRIBUTING.md`` are files;
here they are pages. Links are written for the forge and rewritten while they are read,
so that there is one way to write them. What has no page becomes a download, and what
does not exist stays as it is: MyST then warns.
"""

import os
import re
import shutil
from pathlib import Path, PurePosixPath

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
RESULTS = "benchmarks/results"
RESULT_PAGES = "generated/results"
PAGES = {
    "README.md": "/index.md",
    "CHANGELOG.md": "/changelog.md",
    "CONTRIBUTING.md": "/contributing.md",
    "examples/README.rst": "/auto_examples/index.rst",
}

_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|[#/<])([^)\s#]+)(#[^)\s]*)?(?=[)\s])")


def site_target(path):
    """Where the site has a file of the repository: from its root, or None."""
    path = str(PurePosixPath(path))
    if path in PAGES:
        return PAGES[path]
    folder, name = os.path.split(path)
    if folder == RESULTS and name.endswith(".md"):
        return f"/{RESULT_PAGES}/{name}"
    if folder == "examples" and re.fullmatch(r"plot_\w+\.py", name):
        return f"/auto_examples/{name.removesuffix('.py')}.rst"
    if path.startswith("docs/"):
        return "/" + path.removeprefix("docs/")
    return None


def rewrite_links(text, folder, page_folder):
    """Links of a Markdown file, as the page made of it needs them.

    Parameters
    ----------
    text : str
        The file.
    folder : str
        Its folder in the repository.
    page_folder : str
        The folder in the repository where the page is, or seems to be.

    Returns
    -------
    str
    """

    def rewrite(match):
        path, anchor = match[1], match[2] or ""
        target = os.path.normpath(os.path.join(folder, path))
        if not (ROOT / target).is_file():
            return match[0]
        page = site_target(target)
        if page is None or not page.endswith((".md", ".rst")):
            return os.path.relpath(target, page_folder)
        # The front page of the site has other headings than the README.
        return page if target == "README.md" else page + anchor

    return _LINK.sub(rewrite, text)


def _copy_results(app):
    folder = DOCS / RESULT_PAGES
    folder.mkdir(parents=True, exist_ok=True)
    for page in folder.glob("*.md"):
        if not (ROOT / RESULTS / page.name).exists():
            page.unlink()
    for report in sorted((ROOT / RESULTS).glob("*.md")):
        shutil.copy2(report, folder)


def _on_source(app, docname, source):
    folder = os.path.dirname(docname)
    if app.env.doc2path(docname).suffix == ".md":
        origin = RESULTS if folder == RESULT_PAGES else f"docs/{folder}"
        source[0] = rewrite_links(source[0], origin, f"docs/{folder}")


def _on_include(app, relative_path, parent, content):
    path = (DOCS / relative_path).resolve()
    if path.suffix == ".md":
        origin = os.path.dirname(path.relative_to(ROOT))
        content[0] = rewrite_links(content[0], origin, "docs")
    if path.suffix == ".examples":  # the heading: the name alone fits the contents
        content[0] = re.sub(r"``cofm_sklearn\.(?:\w+\.)*(\w+)``", r"``\1``", content[0])


def setup(app):
    """Connect to Sphinx."""
    app.connect("builder-inited", _copy_results)
    app.connect("source-read", _on_source)
    app.connect("include-read", _on_include)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
