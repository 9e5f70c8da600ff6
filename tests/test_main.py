"""The comparison that ``python -m cofm_sklearn`` runs."""

import json
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cofm_sklearn._demo.command import main
from cofm_sklearn._demo.compare import OURS, PRIOR, STRATEGIES
from cofm_sklearn._demo.data import load_corpus, split_corpus
from cofm_sklearn._demo.report import format_table, summarize
from cofm_sklearn.datasets import load_api_docs

SHORT = ["--budget", "20", "--n-instances", "5", "--seeds", "2", "--n-jobs", "1"]
DESCRIPTIONS = {
    "fft": "Fourier transforms",
    "linalg": ["linear algebra", "matrix decompositions"],
    "special": "special functions",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a small data file and its class descriptions."""
    folder = tmp_path_factory.mktemp("data")
    docs = load_api_docs(as_frame=True).frame
    rows = [
        docs[docs["topic"] == topic].sample(n, random_state=0)
        for topic, n in (("special", 40), ("linalg", 25), ("fft", 8))
    ]
    frame = pd.concat(rows).rename(columns={"topic": "label"})
    frame.to_csv(folder / "docs.csv", index=False)
    (folder / "classes.json").write_text(json.dumps(DESCRIPTIONS))
    return folder


def run(folder, output, *options):
    """Run the comparison on the small data; return its records and output."""
    data = ["--data", str(folder / "docs.csv"), "--output", str(output)]
    with redirect_stdout(StringIO()) as printed:
        assert main([*data, *SHORT, *options]) == 0
    return pd.read_csv(output / "records.csv"), printed.getvalue()


@pytest.fixture(scope="module")
def described(folder):
    """The output folder of a run with descriptions, its records and its report."""
    output = folder / "new" / "folder"
    return output, *run(folder, output, "--classes", str(folder / "classes.json"))


def test_writes_table_records_and_picture(described):
    output, records, printed = described
    for name in [*STRATEGIES, PRIOR]:
        assert printed.count(f"\n{name}") == 2  # once per share of wrong labels
    picture = output / "learning_curves.png"
    assert str(picture) in printed
    assert str(output / "records.csv") in printed
    assert picture.read_bytes().startswith(b"\x89PNG")

    runs = records[records["strategy"] != PRIOR].groupby(["noise", "strategy", "seed"])
    assert len(runs) == 2 * len(STRATEGIES) * 2
    for _, rows in runs:
        assert rows["n_labels"].tolist() == [5, 10, 15, 20]
    final = records[(records["strategy"] == OURS) & (records["n_labels"] == 20)]
    for noise, rows in final.groupby("noise"):
        part = printed.split(f"{noise:.0%} wrong labels")[1]
        assert f"{rows['balanced_accuracy'].mean():.3f}" in part.split("margin")[0]


def test_baselines_start_from_the_same_answers(described):
    _, records, _ = described
    baselines = records[~records["strategy"].isin([OURS, PRIOR])]
    first = baselines[baselines["n_labels"] == 5]
    assert (first.groupby(["noise", "seed"])["balanced_accuracy"].nunique() == 1).all()
    # Later they ask for different texts.
    last = baselines[baselines["n_labels"] == 20]
    assert (last.groupby(["noise", "seed"])["macro_f1"].nunique() > 1).any()


def test_number_of_processes_changes_nothing(described, folder, tmp_path):
    _, alone, report = described
    options = ["--classes", str(folder / "classes.json"), "--n-jobs", "2"]
    together, same_report = run(folder, tmp_path, *options)
    pd.testing.assert_frame_equal(alone, together)
    assert report.split("Records:")[0] == same_report.split("Records:")[0]


def test_label_names_stand_in_for_descriptions(folder, tmp_path, capsys):
    shortest = ["--seeds", "1", "--noise", "0"]
    run(folder, tmp_path, *shortest)
    assert "label names are used as descriptions" in capsys.readouterr().err
    run(folder, tmp_path, *shortest, "--quiet")
    assert capsys.readouterr().err == ""


def test_parquet_and_csv_are_the_same_data(folder):
    pytest.importorskip("pyarrow", exc_type=ImportError)
    frame = pd.read_csv(folder / "docs.csv", index_col="text").reset_index()
    frame.to_parquet(folder / "docs.parquet")
    csv = load_corpus(folder / "docs.csv", classes=folder / "classes.json")
    parquet = load_corpus(folder / "docs.parquet", classes=folder / "classes.json")
    assert csv.texts.tolist() == parquet.texts.tolist()
    assert csv.labels.tolist() == parquet.labels.tolist()
    assert csv.descriptions == DESCRIPTIONS


def test_descriptions_from_csv(folder, tmp_path):
    path = tmp_path / "classes.csv"
    path.write_text("label,text\nfft,waves\nlinalg,matrices\nspecial,Bessel\nx,y\n")
    corpus = load_corpus(folder / "docs.csv", classes=path)
    assert corpus.descriptions == {
        "fft": "waves",
        "linalg": "matrices",
        "special": "Bessel",
    }
    assert any("'x'" in note for note in corpus.notes)


def test_descriptions_from_csv_by_name_and_in_several_rows(folder, tmp_path):
    path = tmp_path / "classes.csv"
    path.write_text(
        "description,label\nwaves,fft\nmatrices,linalg\nBessel,special\nspectra,fft\n"
    )
    corpus = load_corpus(folder / "docs.csv", classes=path)
    assert corpus.descriptions["fft"] == ["waves", "spectra"]
    assert corpus.descriptions["linalg"] == "matrices"


def test_repeated_texts_are_left_out(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("text,label\none,NA\ntwo,NA\none,b\nthree,b\nfour,b\n")
    corpus = load_corpus(path)
    assert corpus.texts.tolist() == ["one", "two", "three", "four"]
    assert corpus.labels.tolist() == ["NA", "NA", "b", "b"]
    assert any(note.startswith("1 repeated") for note in corpus.notes)


class Uninstalled:
    """A finder that hides an installed module."""

    def __init__(self, name):
        self.name = name

    def find_spec(self, name, path=None, target=None):
        if name == self.name:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_without_matplotlib_the_table_remains(folder, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Uninstalled("matplotlib"), *sys.meta_path])
    _, printed = run(folder, tmp_path, "--seeds", "1", "--noise", "0")
    assert "co-decision" in printed
    assert "cofm_sklearn[demo]" in printed
    assert not (tmp_path / "learning_curves.png").exists()


TWO_CLASSES = "text,label\none,a\ntwo,a\nthree,b\nfour,b\n"


@pytest.mark.parametrize(
    ("data", "classes", "options", "fragment"),
    [
        (None, None, [], "no such file"),
        ("", None, [], "cannot be read"),
        ("text,label\n", None, [], "no rows"),
        ("words,label\none,a\n", None, [], "--text-column"),
        ("text,topic\none,a\n", None, [], "--label-column"),
        ("text,label\none,a\ntwo,\n", None, [], "data row 2"),
        ("text,label\none,a\n  ,a\n", None, [], "empty 'text'"),
        ("text,label\none,a\ntwo,a\n", None, [], "two classes"),
        ("text,label\none,a\ntwo,a\nthree,b\n", None, [], "'b' has only one text"),
        (TWO_CLASSES, '{"a": "first"}', [], "no description of class 'b'"),
        (TWO_CLASSES, '{"a": "first", "b": ""}', [], "class 'b' must be"),
        (TWO_CLASSES, '{"a": "first", "b": 3}', [], "class 'b' must be"),
        (TWO_CLASSES, '["a", "b"]', [], "JSON object"),
        (TWO_CLASSES, "{", [], "cannot be read as JSON"),
        (TWO_CLASSES, None, ["--classes", "nowhere.json"], "no such file"),
        (TWO_CLASSES, None, ["--budget", "30"], "more than the 2 texts"),
        (TWO_CLASSES, None, ["--budget", "10"], "--n-instances"),
        (TWO_CLASSES, None, ["--seeds", "0"], "--seeds must be at least 1"),
        (TWO_CLASSES, None, ["--noise", "0", "1"], "--noise must be"),
        (TWO_CLASSES, None, ["--n-jobs", "0"], "--n-jobs must be"),
        (TWO_CLASSES, None, ["--budget", "many"], "invalid int value"),
        (TWO_CLASSES, None, ["--separator", "::"], "--separator must be one"),
        (TWO_CLASSES, None, ["--separator", "tab"], "--separator"),
        (TWO_CLASSES, None, ["--encoding", "klingon"], "'klingon' is not known"),
        ("text:label\none:a\n", None, [], "--separator"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    data, classes, options, fragment, tmp_path, capsys
):
    argv = ["--data", str(tmp_path / "data.csv"), "--output", str(tmp_path / "out")]
    if data is not None:
        (tmp_path / "data.csv").write_text(data)
    if classes is not None:
        (tmp_path / "classes.json").write_text(classes)
        argv += ["--classes", str(tmp_path / "classes.json")]
    with pytest.raises(SystemExit) as exit_info:
        main([*argv, *options])
    assert exit_info.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert fragment in told.err
    assert not (tmp_path / "out" / "records.csv").exists()


CAFES = "text;label\ncafé tea;a\nthé;a\neau;b\nblé;b\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_files_of_spreadsheets_are_read(tmp_path, encoding, separator):
    path = tmp_path / "data.csv"
    path.write_text(CAFES.replace(";", separator), encoding=encoding)
    classes = tmp_path / "classes.csv"
    classes.write_text(
        f"label{separator}what\na{separator}é\nb{separator}b\n", encoding
    )
    given_encoding = encoding if encoding == "latin-1" else None
    corpus = load_corpus(path, classes=classes, encoding=given_encoding)
    assert corpus.texts.tolist() == ["café tea", "thé", "eau", "blé"]
    assert corpus.labels.tolist() == ["a", "a", "b", "b"]
    assert corpus.descriptions == {"a": "é", "b": "b"}


def test_unknown_encoding_is_named_with_the_option(tmp_path, capsys):
    (tmp_path / "data.csv").write_text(CAFES, encoding="latin-1")
    with pytest.raises(SystemExit):
        main(["--data", str(tmp_path / "data.csv"), "--output", str(tmp_path)])
    told = capsys.readouterr().err
    assert "is not utf-8. Name the encoding" in told
    assert "latin-1" in told


@pytest.mark.parametrize("column", ["text", "label"])
def test_parquet_with_a_gap_is_named_by_its_row(tmp_path, column, capsys):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"text": ["a", "b", "c"], "label": ["x", "y", "x"]})
    frame.loc[1, column] = None
    frame.to_parquet(tmp_path / "data.parquet")
    with pytest.raises(SystemExit):
        main(["--data", str(tmp_path / "data.parquet"), "--output", str(tmp_path)])
    assert f"empty {column!r} in data row 2" in capsys.readouterr().err


def test_descriptions_may_have_a_byte_order_mark(tmp_path):
    (tmp_path / "data.csv").write_text(TWO_CLASSES)
    text = json.dumps({"a": "first", "b": "sécond"}, ensure_ascii=False)
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "classes.json").write_text(text, encoding=encoding)
        corpus = load_corpus(tmp_path / "data.csv", classes=tmp_path / "classes.json")
        assert corpus.descriptions["b"] == "sécond"


@given(
    sizes=st.lists(st.integers(2, 30), min_size=2, max_size=6),
    seed=st.integers(0, 1000),
)
@settings(max_examples=50, deadline=None)
def test_split_has_every_class_on_both_sides(sizes, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    pool, held_out = split_corpus(labels, seed)
    assert sorted([*pool, *held_out]) == list(range(len(labels)))
    for part in (pool, held_out):
        assert set(labels[part]) == set(labels)
    counts = np.bincount(labels[held_out])
    assert np.all(np.abs(counts - 0.3 * np.array(sizes)) <= 1)


def test_summary_counts_labels_to_the_level_of_the_best_baseline():
    counts = [10, 20, 30, 40, 50]
    curves = {
        OURS: [0.4, 0.8, 0.8, 0.8, 0.8],
        "margin": [0.0, 0.2, 0.4, 0.6, 0.8],
        "entropy": [0.0, 0.1, 0.2, 0.3, 0.4],
        "random": [0.0, 0.1, 0.2, 0.3, 0.4],
        PRIOR: [0.3],
    }
    rows = [
        {
            "noise": 0.0,
            "strategy": name,
            "seed": seed,
            "n_labels": n,
            "balanced_accuracy": score + shift,
            "rare_class_recall": 0.5 + 10 * shift,
        }
        for name, scores in curves.items()
        for n, score in zip([0] if name == PRIOR else counts, scores)
        for seed, shift in enumerate([-0.01, 0.01])
    ]
    summary = summarize(pd.DataFrame(rows)).set_index("strategy")
    # 90 % of the way from 0 to .8 is .72: between 10 and 20, and 40 and 50 labels.
    assert summary["level"].tolist() == pytest.approx([0.72] * 5)
    assert summary.loc[OURS, "labels_to_level"] == pytest.approx(18)
    assert summary.loc["margin", "labels_to_level"] == pytest.approx(46)
    assert np.isnan(summary.loc["random", "labels_to_level"])
    assert summary.loc["margin", "balanced_accuracy_std"] == pytest.approx(0.01)
    assert summary.loc["margin", "rare_class_recall_std"] == pytest.approx(0.1)
    ours = np.interp(np.array([0.5, 0.75, 0.9, 0.95]) * 0.8, [0.4, 0.8], [10, 20])
    best = np.array([0.5, 0.75, 0.9, 0.95]) * 40 + 10
    assert summary.loc[OURS, "saved"] == pytest.approx(np.mean(1 - ours / best))
    assert summary["saved"].notna().sum() == 1

    printed = format_table(summary.reset_index())
    lines = [line.split() for line in printed.splitlines()]
    assert ["random", "50", "0.400", "±", "0.010", "0.500", "±", "0.100", "-"] in lines


def test_as_a_command_on_its_own_data(tmp_path):
    command = [sys.executable, "-m", "cofm_sklearn", "--quiet", *SHORT]
    done = subprocess.run(
        [*command, "--seeds", "1", "--noise", "0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "API docs" in done.stdout
    assert (tmp_path / "cofm_demo" / "learning_curves.png").exists()
    records = pd.read_csv(tmp_path / "cofm_demo" / "records.csv")
    assert set(records["strategy"]) == {*STRATEGIES, PRIOR}


def test_help_tells_every_option():
    done = subprocess.run(
        [sys.executable, "-m", "cofm_sklearn", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    for option in ["data", "classes", "budget", "noise", "seeds", "output", "n-jobs"]:
        assert f"--{option}" in done.stdout
