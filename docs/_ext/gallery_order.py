"""The order of the examples: one that a reader can follow."""

from pathlib import Path

ORDER = [
    "plot_cold_start.py",
    "plot_trust.py",
    "plot_two_dimensions.py",
    "plot_neighbours.py",
    "plot_useless_prior.py",
    "plot_what_was_asked.py",
    "plot_long_tail.py",
    "plot_skorch_smote.py",
    "plot_grid_search_strategy.py",
    "plot_wrong_labels.py",
    "plot_annotators.py",
    "plot_stopping.py",
    "plot_stock_modal.py",
    "plot_image_active_learning.py",
    "plot_scale.py",
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
