"""Quotes in the docs match the results and the code."""

import ast
import json
import re
from pathlib import Path

import pandas as pd
import pytest

import cofm_sklearn
from cofm_sklearn._demo.report import summarize

PACKAGE = Path(cofm_sklearn.__file__).parent
ROOT = PACKAGE.parent
DOCS, RESULTS = ROOT / "docs", ROOT / "benchmarks" / "results"

pytestmark = pytest.mark.skipif(
    not DOCS.exists(), reason="the package is installed without its checkout"
)


def read(path):
    return path.read_text(encoding="utf-8")


def quotes(path, *figures):
    """Check that a page quotes these figures, whatever its wording."""
    text = " ".join(read(path).split())
    for figure in figures:
        assert re.search(rf"(?<![\d.]){re.escape(figure)}(?!\d)", text), figure


def table_under(path, text):
    """Return the rows of the first table after some text, header first."""
    _, _, rest = read(path).partition(text)
    assert rest, f"{path.name} has no {text!r}"
    rows = []
    for line in rest.splitlines():
        if line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
            rows.append([cell.strip() for cell in cells])
        elif rows:
            break
    return [row for row in rows if set("".join(row)) - set("-: ")]


def number(cell):
    """Read .74, -50 %, +.045, **.95** as a float; percent as parts of 1."""
    value = float(re.sub(r"[*%]", "", cell).replace("−", "-").replace(" ", ""))
    return value / 100 if "%" in cell else value


def same(quoted, measured, cell):
    """Tell whether a cell is a measured value, rounded to the digits it shows."""
    digits = 2 if "%" in cell else len(cell.strip("* ").partition(".")[2])
    return abs(quoted - measured) <= 0.5 * 10**-digits + 1e-9


def agree(cell, measured):
    return same(number(cell), measured, cell)


def savings_of(group="## System, model"):
    rows = table_under(RESULTS / "savings.md", group)
    return {(row[0], row[1]): number(row[2]) for row in rows[1:]}


def test_reading_of_cells():
    assert agree("**.74**", 0.7449)
    assert agree("-50 %", -0.498)
    assert not agree(".74", 0.7461)
    assert not agree("5 %", -0.05)


def test_pages_show_tables_of_the_report():
    report = read(RESULTS / "savings.md")
    for page, mark in (
        ("prior", "priors"),
        ("co_decision", "trust"),
        ("imbalance", "rare"),
    ):
        assert f":start-after: <!-- {mark} -->" in read(DOCS / f"{page}.md")
        inside = report.split(f"<!-- {mark} -->")[1].split(f"<!-- /{mark} -->")[0]
        assert "| api_docs |" in inside


def test_savings_headline_is_that_of_the_report():
    (headline,) = re.findall(
        r"<!-- savings -->(.*?)<!-- /savings -->", read(ROOT / "README.md"), re.DOTALL
    )
    rows = table_under(RESULTS / "savings.md", "## All comparisons")
    system = next(
        row
        for row in rows
        if row[:4] == ["system", "model", "best of each cell", "all"]
    )
    assert system[5] in " ".join(headline.split())
    assert f"{system[4]} cells" in headline
    cells = savings_of()
    first = " ".join(headline.split()).partition("Against the best")[0]
    extremes = re.findall(r"(-?\d+ %) \((\w+), noise ([^)]+)\)", first)
    assert len(extremes) == 2
    for saved, data, noise in extremes:
        assert agree(saved, cells[data, noise])
    assert [number(e[0]) for e in extremes] == [
        max(cells.values()),
        min(cells.values()),
    ]


def test_table_of_the_demonstration():
    measured = summarize(pd.read_csv(RESULTS / "api_docs.csv"))
    measured = measured.set_index(["noise", "strategy"])
    _, *rows = table_under(DOCS / "getting_started.md", "### What it shows")
    assert len(rows) == 9
    for noise, strategy, balanced, rare, reached, saved in rows:
        key = (number(noise) if noise else 0.0, strategy.partition(",")[0])
        row = measured.loc[key]
        for cell, metric in (
            (balanced, "balanced_accuracy"),
            (rare, "rare_class_recall"),
        ):
            mean, spread = cell.split(" ± ")
            assert agree(mean, row[metric]), (key, metric)
            assert agree(spread, row[f"{metric}_std"]), (key, metric)
        if reached == "–":
            assert pd.isna(row["labels_to_level"]), key
        elif reached:
            assert number(reached) == round(row["labels_to_level"]), key
        if saved:
            assert agree(saved, row["saved"]), key


def test_gain_of_cleaning():
    measured = table_under(RESULTS / "label_noise.md", "## Gain of cleaning, by noise")
    by_noise = {row[0]: row for row in measured[1:]}
    names = {
        "none": "0",
        "20 %": "0.2",
        "20 % towards one other class": "0.2 asymmetric",
        "40 %": "0.4",
    }
    _, *rows = table_under(DOCS / "wrong_labels.md", "- **Training.**")
    assert {row[0] for row in rows} == set(names)
    for name, *cells in rows:
        row = by_noise[names[name]]
        # Mean and worst cell of the small model, then of the co-decision.
        for cell, mean, worst in zip(cells, (row[1], row[3]), (row[4], row[6])):
            quoted = re.findall(r"[+-]?\.\d+", cell)
            assert agree(quoted[0], float(mean)), (name, cell)
            assert agree(quoted[1], float(worst)), (name, cell)


def test_stopping():
    measured = {
        row[0].split()[0]: row
        for row in table_under(RESULTS / "stopping.md", "## All data sets")
    }
    _, *rows = table_under(DOCS / "stopping.md", "## What it saves")
    for threshold, *cells in rows:
        row = measured[re.findall(r"\.\d+", threshold)[0]]
        for cell, value in zip(cells, row[1:], strict=True):
            assert number(cell) == pytest.approx(number(value)), threshold


def test_time_of_a_query():
    rows = {row[0]: row for row in table_under(RESULTS / "speed.md", "## By pool size")}
    ours = float(rows["CoDecisionQuery"][3].split()[0])
    margin = float(rows["modAL margin"][3].split()[0])
    quotes(DOCS / "scale.md", f"{ours:.2f} s", f"{ours / margin:.1f} times")
    quotes(DOCS / "faq.md", f"{ours:.2f} s")


def test_query_on_a_cluster():
    measured = json.loads(read(RESULTS / "cluster.json"))
    assert measured["same picks with a worker killed"]
    seconds = measured["seconds"], measured["seconds with a worker killed"]
    quotes(DOCS / "scale.md", *(f"{value:.0f} s" for value in seconds))


def test_gain_of_a_gpu():
    measured = json.loads(read(RESULTS / "gpu.json"))
    faster = [part["times faster"] for part in measured.values() if type(part) is dict]
    _, *rows = table_under(DOCS / "scale.md", "## On a GPU")
    assert len(rows) >= 8
    for row in rows:
        for figure in re.findall(r"\d+\.\d+", row[1]):
            assert float(figure) in faster, row


def test_cost_of_neighbours():
    measured = json.loads(read(RESULTS / "neighbors_speed.json"))
    graph, many = measured["graph"], measured["predictions"]
    fits = [
        f"{value:.0f}"
        for labels in ("right labels", "20 % wrong")
        for name, value in measured[f"fit, {labels}"].items()
        if "fits of the small model" in name
    ]
    quotes(
        DOCS / "scale.md",
        *(f"{graph['seconds']:.1f} s", f"{graph['peak MiB']:.0f} MiB"),
        *(f"{many['predict_proba, s']:.0f} s", f"{many['peak MiB']:.0f} MiB"),
        *(f"{measured['round']['ratio']:.1f} times", *fits),
    )


def test_time_of_the_labeller():
    measured = json.loads(read(RESULTS / "labeller.json"))
    few, many = (measured["pools"][n]["next sample"] for n in ("3000", "100000"))
    medians = (f"{one['median_ms']:.0f} ms" for one in (few, many))
    longest = (f"{one['longest_ms']:.0f} ms" for one in (few, many))
    quotes(DOCS / "label.md", *medians, *longest)


def test_cost_of_encoders():
    measured = json.loads(read(RESULTS / "encoding.json"))
    for kind in ("texts", "images"):
        overhead = f"{measured[kind]['overhead']:+.1%}".replace("%", " %")
        faster = f"{measured[kind]['times faster from the cache']} times"
        samples = f"{measured[kind]['samples']} {kind}"
        quotes(DOCS / "image_benchmark.md", samples, overhead, faster)


def test_what_doubt_costs_and_gains():
    _, *rows = table_under(RESULTS / "ablation.md", "# What each part is worth")
    gain = {tuple(row[:3]): row[4].replace("0.", ".") for row in rows}
    cells = (("sst2", "0"), ("sst2", "0.2"), ("agnews", "0.4"))
    quotes(DOCS / "co_decision.md", *(gain["sentences", *cell] for cell in cells))


def test_images():
    cells = table_under(RESULTS / "images.md", "## System, model")
    measured = {(row[0], row[1]): number(row[2]) for row in cells[1:]}
    _, *rows = table_under(DOCS / "image_benchmark.md", "## What came out")
    for prior, *quoted in rows:
        values = [measured[f"cifar10 {prior}", noise] for noise in ("0", "0.2", "0.4")]
        values.append(sum(values) / 3)
        for cell, value in zip(quoted, values, strict=True):
            assert agree(cell, value), prior


def test_several_priors():
    report = RESULTS / "priors.md"
    _, *rows = table_under(report, "## Several priors")
    lower = {tuple(row[:2]): row[7:9] for row in rows if number(row[7]) < 0}
    assert {dataset for dataset, _ in lower} == {"sms"}
    worst, error = (number(cell) for cell in lower["sms", "0.4"])
    assert worst == min(number(row[7]) for row in rows)
    gain = sum(number(row[7]) for row in rows) / len(rows)
    figures = (f"{value:.3f}"[1:] for value in (gain, -worst, error))
    assert len(rows) == 8 * 3  # data sets, shares of wrong labels
    quotes(DOCS / "prior.md", *figures)


def raised():
    """Return the texts of all errors that the package raises, as patterns' targets."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(read(path))):
            made = isinstance(node, ast.Call) and ast.unparse(node.func)
            if made and made.endswith("Error"):  # raised here, or by the caller
                parts = ast.walk(node)
                # A text with values in it and its pieces are both walked over.
                texts = [
                    p for p in parts if isinstance(p, ast.JoinedStr | ast.Constant)
                ]
                found += [ast.unparse(text) for text in texts]
    return found


def test_errors_of_the_faq_are_raised_by_the_package():
    known = raised()
    _, *rows = table_under(DOCS / "faq.md", "## Errors and their cures")
    others = ("scikit-learn's", "NumPy's")
    ours = [message for message, cure in rows if not cure.startswith(others)]
    assert len(ours) >= 20
    for message in ours:
        parts = [re.escape(part) for part in message.strip("`").split(" ... ")]
        # Braces of a message are doubled where values are put in.
        pattern = ".*".join(parts).replace(r"\{\}", r"\{+\}+")
        assert any(re.search(pattern, text) for text in known), message
