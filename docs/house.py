"""Draw docs/images/house.svg: who imports whom, folder by folder.

python docs/house.py
"""

import tomllib
from collections import Counter
from pathlib import Path

import grimp
import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch

DOCS = Path(__file__).parent
PICTURE = DOCS / "images" / "house.svg"
CONTRACTS = DOCS.parent / "pyproject.toml"


def floors():
    """Return the folders from the top down, as the contract lists them."""
    settings = tomllib.loads(CONTRACTS.read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    [layers] = [c["layers"] for c in contracts if c["id"] == "floors"]
    return layers


def imports():
    """Count the imports between folders: (from, to) -> number."""
    graph = grimp.build_graph("cofm_sklearn", cache_dir=None)
    found = Counter()
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            ends = [name.split(".")[1:2] for name in (importer, imported)]
            if ends[0] != ends[1] and all(ends):
                found[ends[0][0], ends[1][0]] += 1
    return found


def main():
    """Draw floors as boxes, imports as arrows, wider the more there are."""
    names, found = floors(), imports()
    height = {name: -row for row, name in enumerate(names)}
    upwards = [pair for pair in found if height[pair[0]] <= height[pair[1]]]
    assert not upwards, f"imports that run back up: {upwards}"
    figure, axes = plt.subplots(figsize=(7, 7.5), layout="constrained")
    for name in names:
        box = {"boxstyle": "round,pad=0.35", "fc": "#eef3f8", "ec": "#4a6785"}
        axes.text(0, height[name], name, ha="center", va="center", bbox=box)
    for (importer, imported), n in found.items():
        start, end = height[importer], height[imported]
        side = 1 if names.index(importer) % 2 else -1
        arrow = FancyArrowPatch(
            (side * 0.9, start),
            (side * 0.9, end),
            connectionstyle=f"arc3,rad={-side * 0.45}",
            arrowstyle="-|>",
            mutation_scale=9,
            lw=0.5 + n**0.5 / 3,
            color="#4a6785",
            alpha=0.55,
        )
        axes.add_patch(arrow)
    axes.set(xlim=(-5, 5), ylim=(-len(names) + 0.4, 0.6))
    axes.axis("off")
    # No date and no random names, so that the same house is the same file.
    plt.rcParams["svg.hashsalt"] = "house"
    figure.savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
