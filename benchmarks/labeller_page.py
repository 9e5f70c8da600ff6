"""The labeller in its own page: its script in a browser, its session in this process.

JupyterLab only passes messages between the two; without it, a test takes seconds.
"""

import json
import shutil
from contextlib import contextmanager

from cofm_sklearn.annotation.widget import script, style

_PAGE = """<!doctype html><html><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Labeller</title></head>
<body style="margin:0"><div id="here"></div></body></html>"""
# CSS variables of JupyterLab's themes.
_DARK = "--jp-layout-color1:#111;--jp-ui-font-color1:rgba(255,255,255,.87)"
_LIGHT = "--jp-layout-color1:#fff;--jp-ui-font-color1:rgba(0,0,0,.87)"

_START = """
const model = {
  listeners: new Set(),
  on(name, listener) { this.listeners.add(listener); },
  off(name, listener) { this.listeners.delete(listener); },
  async send(message) {
    const reply = JSON.parse(await window.kernel(JSON.stringify(message)));
    this.listeners.forEach((listener) => listener(reply));
  },
};
labellerOfThisPage.render({ model, el: document.querySelector("#here") });
"""


class LabellerPage:
    """A page that shows a labeller.

    Parameters
    ----------
    page : Page of playwright

    widget : AnnotationWidget

    dark : bool, default=False
    """

    def __init__(self, page, widget, *, dark=False):
        self.page = page
        self.widget = widget
        page.expose_function("kernel", self._handle)
        page.set_content(_PAGE)
        colours = _DARK if dark else _LIGHT
        page.evaluate(
            "([css, colours]) => { document.documentElement.style = colours; "
            "document.body.style.background = 'var(--jp-layout-color1)'; "
            "document.head.append(Object.assign(document.createElement('style'), "
            "{ textContent: css })); }",
            [style(), colours],
        )
        code = script().replace("export default", "const labellerOfThisPage =")
        page.add_script_tag(content=f"(() => {{\n{code}\n{_START}\n}})();")
        page.locator(".cofm-sample > *").first.wait_for()
        self.ready()

    def _handle(self, message):
        # Through JSON in both directions, as in a notebook.
        return json.dumps(self.widget.handle(json.loads(message)))

    def ready(self):
        """Wait until the labeller is idle, and return it."""
        self.page.wait_for_selector(".cofm-labeller[aria-busy=false]")
        return self.page.locator(".cofm-labeller")

    def text(self):
        """Return the text of the sample."""
        return self.page.locator(".cofm-sample").inner_text()

    def press(self, *keys):
        """Press keys one after the other, and wait until the kernel has replied."""
        for key in keys:
            self.page.keyboard.press(key)
        return self.ready()


@contextmanager
def browser(**options):
    """Start the system's chromium; yield a function that opens a new page."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise RuntimeError("chromium is not installed; on Debian: apt install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )

        def new_page(width=1100, height=900):
            page = running.new_page(viewport={"width": width, "height": height})
            page.set_default_timeout(20_000)
            return page

        yield new_page
        running.close()
