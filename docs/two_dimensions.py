"""Draw docs/images/two_dimensions.png: the first picture of the example of that name.

python docs/two_dimensions.py
"""

import runpy
from pathlib import Path
from unittest.mock import patch

import matplotlib.pyplot as plt

DOCS = Path(__file__).parent


def main():
    plt.switch_backend("agg")
    with patch.object(plt, "show"):  # there is no window to show it in
        runpy.run_path(str(DOCS.parent / "examples" / "plot_two_dimensions.py"))
    plt.figure(1).savefig(DOCS / "images" / "two_dimensions.png", dpi=130)


if __name__ == "__main__":
    main()
