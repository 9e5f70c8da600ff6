"""Pictures of every page of the built site: narrow and wide, light and dark.

``python docs/screenshots.py docs/_build/html OUT`` needs playwright (of the extra
``test``) and a chromium on the path. OUT gets one picture per page, width and theme,
and contact sheets of twelve. What a page asks of other hosts, what its scripts complain
of and what is wider than the screen is printed, and makes the exit code 1.
"""

import argparse
import functools
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import sync_playwright

WIDTHS = {"narrow": (390, 844), "wide": (1280, 900)}
THEMES = ("light", "dark")
LONGEST = 6000  # pixels of a page that are kept
COLUMNS, ROWS = 6, 2
TILE = {"narrow": (300, 900), "wide": (500, 800)}
# Height of the page, and what is cut off at the right: wider than the screen, and in
# nothing that scrolls.
_MEASURE = """() => {
  const scrolls = (e) => e && (/auto|scroll/.test(getComputedStyle(e).overflowX)
    && !e.matches("body, html, .bd-article-container") || scrolls(e.parentElement));
  const wide = [...document.querySelectorAll("main *")].filter((e) =>
    e.getBoundingClientRect().right > window.innerWidth + 1 && !scrolls(e));
  const names = wide.map((e) => e.tagName.toLowerCase() + "." + e.className);
  return [document.documentElement.scrollHeight, [...new Set(names)].slice(0, 3)];
}"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def pages_of(site):
    """Pages to look at: all but indices that Sphinx makes."""
    left_out = {"genindex.html", "search.html", "py-modindex.html"}
    pages = sorted(site.rglob("*.html"))
    return [
        page
        for page in pages
        if page.name not in left_out and "_static" not in page.relative_to(site).parts
    ]


def shoot(site, out, widths=WIDTHS, themes=THEMES, only=None):
    """Take the pictures; return complaints as lines of text."""
    handler = functools.partial(_Quiet, directory=str(site))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    root = f"http://127.0.0.1:{server.server_port}/"
    complaints = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for width in widths:
            across, down = WIDTHS[width]
            for theme in themes:
                context = browser.new_context(
                    viewport={"width": across, "height": down}, color_scheme=theme
                )
                page = context.new_page()
                for path in pages_of(site):
                    name = path.relative_to(site).with_suffix("").as_posix()
                    if only and not any(part in name for part in only):
                        continue
                    complaints += _shoot_page(page, root, name, out, width, theme)
                context.close()
        browser.close()
    server.shutdown()
    return sorted(set(complaints))


def _shoot_page(page, root, name, out, width, theme):
    said = []

    def on_request(request):
        if not request.url.startswith((root, "data:")):
            said.append(f"{name}: asks {request.url}")

    def on_console(message):
        if message.type == "error":
            said.append(f"{name}: {message.text}")

    page.on("request", on_request)
    page.on("console", on_console)
    page.goto(f"{root}{name}.html", wait_until="load")
    page.remove_listener("request", on_request)
    page.remove_listener("console", on_console)
    height, too_wide = page.evaluate(_MEASURE)
    if too_wide:
        said.append(f"{name}: {width} screen is too narrow for {', '.join(too_wide)}")
    across = WIDTHS[width][0]
    picture = out / f"{width}_{theme}" / f"{name.replace('/', '.')}.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    height = min(height, LONGEST)
    page.screenshot(
        path=picture,
        full_page=True,
        clip={"x": 0, "y": 0, "width": across, "height": height},
    )
    return said


def make_sheets(out):
    """Contact sheets: the top of twelve pages each."""
    for width in WIDTHS:
        for theme in THEMES:
            pictures = sorted((out / f"{width}_{theme}").glob("*.png"))
            per_sheet = COLUMNS * ROWS
            for start in range(0, len(pictures), per_sheet):
                sheet = _sheet(pictures[start : start + per_sheet], *TILE[width])
                sheet.save(out / f"sheet_{width}_{theme}_{start // per_sheet:02}.png")


def _sheet(pictures, across, down):
    sheet = Image.new("RGB", (COLUMNS * (across + 8), ROWS * (down + 22)), "grey")
    draw = ImageDraw.Draw(sheet)
    for k, path in enumerate(pictures):
        x, y = (k % COLUMNS) * (across + 8), (k // COLUMNS) * (down + 22)
        with Image.open(path) as picture:
            scaled = picture.resize((across, across * picture.height // picture.width))
        draw.text((x + 4, y + 4), path.stem, fill="white")
        sheet.paste(scaled.crop((0, 0, across, min(down, scaled.height))), (x, y + 20))
    return sheet


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="+", help="pages whose path has one of these")
    parser.add_argument("--widths", nargs="+", choices=WIDTHS, default=WIDTHS)
    parser.add_argument("--themes", nargs="+", choices=THEMES, default=THEMES)
    options = parser.parse_args()
    site = options.site.resolve()
    complaints = shoot(site, options.out, options.widths, options.themes, options.only)
    make_sheets(options.out)
    print("\n".join(complaints) or "nothing to complain of")
    return int(bool(complaints))


if __name__ == "__main__":
    raise SystemExit(main())
