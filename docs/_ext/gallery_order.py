"""The order of the examples: one that a reader can follow."""

from pathlib import Path

ORDER = [
    "plot_grid_search_strategy.py",
    "plot_image_active_learning.py",
]


class ExampleOrder:
    """Sorting key of sphinx-gallery; what is not listed follows by name."""

    def __init__(self, src_dir):
        self.src_dir = src_dir

    def __call__(self, filename):
        """Place of a file."""
        name = Path(filename).name
        return (ORDER.index(name) if name in ORDER else len(ORDER), name)

    def __repr__(self):
        return "<ExampleOrder>"
