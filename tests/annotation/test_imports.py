"""Labels from elsewhere: on the right sample, once, and after corrections."""

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from cofm_sklearn import AnnotationSession, CoDecisionClassifier, PrecomputedPrior
from cofm_sklearn.annotation.identity import sample_ids

TEXTS = [f"message {i}\nabout {i % 3}" for i in range(12)]
CLASSES = ["x", "y", "z"]


def open_session(X=TEXTS, classes=CLASSES, **others):
    model = make_pipeline(HashingVectorizer(n_features=16), LogisticRegression())
    if not isinstance(X, list | pd.Series):
        model = LogisticRegression()
    # Warnings cannot be caught beside a thread that does so too.
    others = {"background": False, **others}
    return AnnotationSession(X, model, classes=classes, **others)


def labels_of(session):
    """Label of each row, by what the model is trained on."""
    return dict(zip(session.labeled.tolist(), session.labels_.tolist()))


def test_a_second_import_reverts_no_correction():
    old = pd.DataFrame({"sample": TEXTS[:4], "label": ["x"] * 4})
    with open_session() as session, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert session.import_labels(old) == 4
        session.relabel(session.id_of(TEXTS[1]), "y")
        assert session.import_labels(old) == 0
        assert labels_of(session) == {0: "x", 1: "y", 2: "x", 3: "x"}
        assert session.import_labels(old, overwrite=True) == 1
        assert labels_of(session)[1] == "x"


def test_another_label_of_the_same_annotator_is_left_out_and_said():
    name = sample_ids(TEXTS[:1])[0]
    with open_session() as session:
        session.import_labels([(name, "x", "ann")])
        with pytest.warns(UserWarning, match="overwrite=True"):
            assert session.import_labels([(name, "y", "ann")]) == 0
        assert session.import_labels([(name, "y", "ann")], overwrite=True) == 1
        assert session.import_labels([(name, "y", "bob")]) == 1
        assert len(session.export()) == 2


def test_rows_that_contradict_each_other_are_counted():
    twice = pd.DataFrame({"sample": [TEXTS[0]] * 2, "label": ["x", "y"]})
    with open_session() as session:
        with pytest.warns(UserWarning, match="1 that a later row"):
            assert session.import_labels(twice) == 1
        assert labels_of(session) == {0: "y"}


@pytest.mark.parametrize("who", ["me", "sheet"])
def test_a_correction_wins_against_the_import_that_it_corrects(who):
    X, codes = make_blobs([20, 20], n_features=4, random_state=0)
    y = np.array(["x", "y"])[codes]
    model = CoDecisionClassifier(LogisticRegression(), random_state=0)
    with AnnotationSession(X, model, classes=["x", "y"]) as session:
        frame = pd.DataFrame({"position": range(40), "label": y})
        session.import_labels(frame, annotator=who)
        # The model speaks for the import, and so does its annotator's record.
        other = "x" if y[0] == "y" else "y"
        session.relabel(session.id_of(X[0]), other)
        assert labels_of(session)[0] == other
        assert session.progress().counts[other] == (y == other).sum() + 1
        assert session.import_labels(frame, annotator=who) == 0
        assert labels_of(session)[0] == other
        exported = session.export()
        session.undo()
        assert labels_of(session)[0] == y[0]
    with AnnotationSession(X, model, classes=["x", "y"]) as session:
        session.import_labels(exported)
        assert labels_of(session)[0] == other


def dropped():
    frame = pd.DataFrame(
        {"message": TEXTS, "label": [CLASSES[i % 3] for i in range(12)]}
    )
    return frame.drop(index=[0, 1, 2])


@pytest.mark.parametrize(
    "labels",
    [
        lambda df: df.reset_index(),
        lambda df: df.reset_index()[["message", "label"]],
        lambda df: df.rename(columns={"message": "sample"}),
        lambda df: df["label"],
        lambda df: df["label"][::-1],
        lambda df: df["label"].iloc[4:],
        lambda df: df.assign(position=range(9))[["position", "label"]],
    ],
)
def test_labels_find_the_text_that_they_are_about(labels):
    df = dropped()
    with open_session(df["message"]) as session:
        given = labels(df)
        assert session.import_labels(given) == len(given)
        found = session.export()
    assert (found["label"] == [CLASSES[int(t[-1])] for t in found["sample"]]).all()


def test_samples_that_are_not_found_have_the_names_that_were_given():
    pool = pd.Series(["a a", "b b", "c c"], index=["r1", "r2", "r3"])
    with open_session(pool) as session:
        with pytest.raises(ValueError, match="index 'typo'"):
            session.import_labels(pd.Series([CLASSES[0]], index=["typo"]))
        texts = pd.DataFrame({"position": ["0", "2", "x"], "label": CLASSES[0]})
        with pytest.warns(UserWarning, match="position x"):
            assert session.import_labels(texts) == 2
        numbers = pd.array([1, None], dtype="Int64")
        with pytest.warns(UserWarning, match="position"):
            session.import_labels(pd.DataFrame({"position": numbers, "label": "x"}))


def test_an_index_that_may_mean_two_things_is_refused():
    df = dropped()
    with open_session(df["message"]) as session:
        with pytest.raises(ValueError, match='"position" if it counts'):
            session.import_labels(df.reset_index()[["index", "label"]])
        assert session.export().empty
    with open_session(df["message"].tolist()) as session:
        # The leftover column of text tells it.
        session.import_labels(df.reset_index())
        found = session.export()
        assert (found["label"] == [CLASSES[int(t[-1])] for t in found["sample"]]).all()
        with pytest.raises(ValueError, match="this X has no index"):
            session.import_labels(df["label"])
    repeated = pd.Series(TEXTS[:3], index=[0, 0, 1])
    with (
        open_session(repeated) as session,
        pytest.raises(ValueError, match="repeats names"),
    ):
        session.import_labels(pd.Series(["x"], index=[0]))


def test_a_frame_is_found_by_its_columns():
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0]}, index=[7, 8, 9])
    with open_session(X) as session:
        assert session.import_labels(X[::-1].assign(label=["x", "y", "z"])) == 3
        assert labels_of(session) == {2: "x", 1: "y", 0: "z"}


def test_what_is_not_in_the_pool_is_counted_and_the_rest_comes_in():
    frame = pd.DataFrame({"sample": [*TEXTS[:2], "odd", None], "label": list("xyqq")})
    with open_session() as session:
        with pytest.warns(UserWarning, match="2 of 4 labels were new.* 2 of a sample"):
            assert session.import_labels(frame) == 2
        with pytest.raises(ValueError, match="None of the 2 samples"):
            session.import_labels(frame[2:])
        odd = pd.DataFrame({"position": [0, 99, "a"], "label": ["x", "x", "x"]})
        with pytest.warns(UserWarning, match="position 99"):
            session.import_labels(odd, annotator="ann")


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_line_ends_make_no_other_sample(tmp_path, ending):
    path = tmp_path / f"labels.{ending}"
    windows = [text.replace("\n", "\r\n") for text in TEXTS]
    file = tmp_path / "s.sqlite"
    with open_session(windows, store=file) as session:
        said = [(session.id_of(text), "x", "me") for text in TEXTS]
        assert session.import_labels(said) == 12
        session.export(path)
    with open_session(store=file) as session:
        assert session.progress().n_labels == 12
    with open_session() as session:
        assert session.import_labels(path) == 12


MISSING = [None, np.nan, pd.NA, pd.NaT]


@pytest.mark.parametrize("value", MISSING, ids=str)
def test_missing_values_are_alike(tmp_path, value):
    columns = {"text": ["a", "b", "c"], "size": [1.0, 2.0, 3.0]}
    X = pd.DataFrame({**columns, "note": pd.Series(["n", value, "n"], dtype=object)})
    model = LogisticRegression()
    with AnnotationSession(X, model, store=tmp_path / "s.sqlite", classes=[0, 1]) as s:
        s.import_labels(pd.DataFrame({"position": [0, 1, 2], "label": [0, 1, 0]}))
    for other in MISSING:
        X["note"] = pd.Series(["n", other, "n"], dtype=object)
        with AnnotationSession(
            X, model, store=tmp_path / "s.sqlite", classes=[0, 1]
        ) as session:
            assert session.progress().n_labels == 3
    X["size"] = X["size"].astype("Int64")
    assert sample_ids(X) == sample_ids(X.assign(size=[1.0, 2.0, 3.0]))


@pytest.mark.parametrize(
    ("X", "old"),
    [
        (["one\r\ntext", "another"], "8b6cef3f2406bea72fa850e08bbbfd6f"),
        (
            pd.DataFrame({"a": ["s\r\nt", "u"], "b": [None, 1.0], "c": [np.nan, "v"]}),
            "943ae31e6dcbdcc7f70e7193b144650d",
        ),
        (
            pd.DataFrame({"a": [2**60 + 1, 5], "b": ["s", "t"]}),
            "21a219860bedcccb4fd01bde7ec3d7c7",
        ),
    ],
    ids=["texts", "frame", "large numbers"],
)
def test_files_of_earlier_versions_keep_their_labels(tmp_path, X, old):
    file = tmp_path / "s.sqlite"
    assert old != sample_ids(X)[0]
    with (
        open_session([*"pool"], store=file) as session,
        session.store.transaction(),
    ):
        session.store.append("me", "import", old, '"x"')
    with open_session(X, store=file) as session:
        assert session.progress().n_labels == 1
        labels = session.export()
        assert labels["index"].tolist() == [0]
        (question,) = session.ask() if isinstance(X, list) else [None]
        assert question is None or question.index == 1
    if isinstance(X, list):  # in a new file it is found by its text
        with open_session(X) as session:
            assert session.import_labels(labels) == 1


def test_labels_of_another_pool_are_counted_when_the_file_is_opened(tmp_path):
    with open_session(store=tmp_path / "s.sqlite") as session:
        session.import_labels(pd.DataFrame({"position": range(6), "label": "x"}))
    with pytest.warns(UserWarning, match="4 of 6 labelled samples .* are not in X"):
        open_session(TEXTS[4:], store=tmp_path / "s.sqlite").close()


def test_whole_numbers_that_became_float_are_labels(tmp_path):
    path = tmp_path / "sheet.csv"
    path.write_text("position,label\n0,1.0\n1,0.0\n2,1\n")
    with open_session(classes=[0, 1]) as session:
        assert session.import_labels(path) == 3
        frame = pd.DataFrame({"position": [3, 4], "label": [1.0, 0.0]})
        assert session.import_labels(frame) == 2
        (question,) = session.ask()
        session.answer(question.id, np.float64(1))
        labels = labels_of(session)
    assert [labels[i] for i in range(5)] == [1, 0, 1, 1, 0]
    assert all(isinstance(label, int) for label in labels.values())


@pytest.mark.parametrize("classes", [[0, 1], ["0", "1"]])
def test_a_blank_label_is_named_by_its_row_with_the_cure(tmp_path, classes):
    path = tmp_path / "sheet.csv"
    path.write_text("position,label\n0,1\n1,\n2,1\n")
    frame = pd.DataFrame({"position": [0, 1], "label": [1.0, np.nan]})
    series = pd.Series([1, None] + [0] * 10, dtype=object)
    with open_session(classes=classes) as session:
        for labels in (path, frame, series):
            with pytest.raises(ValueError, match=r"row 1\. Drop the rows"):
                session.import_labels(labels)
        assert session.export().empty
        assert session.import_labels(frame.dropna()) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_sheets_of_spreadsheets_are_read(tmp_path, encoding, separator):
    path = tmp_path / "sheet.csv"
    path.write_text(f"position{separator}label\n0{separator}é\n", encoding=encoding)
    with open_session(classes=["é", "z"]) as session:
        assert session.import_labels(path) == 1
        path.write_text("position,label\n0,é\n", encoding="latin-1")
        with pytest.raises(ValueError, match=r"is not utf-8\. Name the encoding"):
            session.import_labels(path)


def test_commas_without_quotes_are_no_further_column(tmp_path):
    path = tmp_path / "sheet.csv"
    path.write_text("sample,label\nred,green,x\n")
    with (
        open_session(["red,green", "green"]) as session,
        pytest.raises(ValueError, match=r"more cells than its header.*in quotes"),
    ):
        session.import_labels(path)


@pytest.mark.parametrize("content", ["", "x" * 200_000, '"' * 199_999])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_files_that_are_no_tables_are_clear_errors(tmp_path, content, ending):
    path = tmp_path / f"sheet.{ending}"
    path.write_text(content)
    with (
        open_session() as session,
        pytest.raises(ValueError, match=r"cannot be read as|must have the columns"),
    ):
        session.import_labels(path)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_an_export_without_labels_comes_back(tmp_path, ending):
    with open_session() as session:
        session.export(tmp_path / f"none.{ending}")
        assert session.import_labels(tmp_path / f"none.{ending}") == 0


def test_a_missing_label_says_what_to_do():
    name = sample_ids(TEXTS[:1])[0]
    with open_session() as session:
        for label in (None, np.nan, pd.NA):
            with pytest.raises(ValueError, match="Drop the rows"):
                session.import_labels([(name, label, "me")])


@pytest.mark.parametrize("background", [True, False])
def test_the_first_batch_knows_imported_labels(background):
    rng = np.random.RandomState(0)
    y = np.arange(120) % 2
    sure = np.where(y == 1, 0.7, 0.3) + rng.uniform(-0.2, 0.2, size=120)
    pool = np.column_stack([1 - sure, sure])
    prior = PrecomputedPrior([0, 1])
    model = CoDecisionClassifier(LogisticRegression(), prior, random_state=0)
    with AnnotationSession(pool, model, background=background) as session:
        frame = pd.DataFrame({"position": range(30), "label": y[:30]})
        session.import_labels(frame)
        asked = session.ask(30)
    assert len(asked) == 30
    learned_from = [question for question in asked if not question.is_check]
    assert all(question.small_proba is not None for question in learned_from)
    assert not {question.index for question in asked} & set(range(30))


def test_an_import_between_batches_is_known_to_the_next_one():
    with open_session(n_instances=2, check_share=0) as session:
        session.ask(2)
        frame = pd.DataFrame({"position": range(6), "label": list("xyzxyz")})
        session.import_labels(frame)
        known = [q.small_proba is not None for q in session.ask(6)]
    assert all(known[2:])


def test_an_export_finds_its_samples_in_a_pool_that_has_a_column_id(tmp_path):
    rng = np.random.RandomState(0)
    pool = pd.DataFrame(rng.randn(30, 2), columns=["a", "b"]).assign(id=range(100, 130))
    with open_session(pool) as session:
        for question in session.ask(12):
            session.answer(question.id, CLASSES[int(question.sample["id"]) % 3])
        session.export(tmp_path / "labels.csv")
    # Row numbers of the export belong to other samples here.
    mixed = pool.sample(frac=1, random_state=1).reset_index(drop=True)
    with open_session(mixed) as session:
        assert session.import_labels(tmp_path / "labels.csv") == 12
        for row, label in labels_of(session).items():
            assert label == CLASSES[int(mixed["id"][row]) % 3]
    other = open_session(pool.drop(columns="id").reset_index(drop=True))
    with other, pytest.raises(ValueError, match="None of the 12 samples"):
        other.import_labels(tmp_path / "labels.csv")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_file_has_the_samples_that_its_frame_has(tmp_path, dtype):
    pool = pd.DataFrame(
        {
            "id": [7, 8, 9, 10],
            "price": np.array([0.1, np.nan, 3, 1e-9], dtype=dtype),
            "text": ["'-5 degrees'", None, "007", "-1"],
            "paid": [True, False, True, False],
            "day": pd.to_datetime(["2026-01-01", "2026-01-02", None, "2026-01-04"]),
        }
    )
    pool.assign(label=["x", "y", "z", "x"]).to_csv(tmp_path / "a.csv", index=False)
    with open_session(pool, background=False) as session:
        assert session.import_labels(tmp_path / "a.csv") == 4
        labels = session.export().sort_values("index")["label"]
        assert labels.tolist() == ["x", "y", "z", "x"]
    # A program for spreadsheets writes a mark before what looks like a formula.
    sheet = (tmp_path / "a.csv").read_text().replace(",-1,", ",'-1,")
    (tmp_path / "a.csv").write_text(sheet)
    with open_session(pool, background=False) as session:
        assert session.import_labels(tmp_path / "a.csv") == 4


@pytest.mark.parametrize("every", ["15min", "1234567us"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_times_with_a_zone_are_found_in_a_file(tmp_path, zone, every):
    # In Berlin, clocks are put back twenty seconds later.
    start = pd.Timestamp("2026-10-25 00:59:40", tz="UTC")
    times = pd.date_range(start, periods=40, freq=every).tz_convert(zone)
    pool = pd.DataFrame({"day": times, "price": 1.0})
    pool.loc[3, "day"] = pd.NaT
    labels = [CLASSES[i % 3] for i in range(40)]
    pool.assign(label=labels).to_csv(tmp_path / "a.csv", index=False)
    with open_session(pool) as session:
        assert session.import_labels(tmp_path / "a.csv") == 40
        found = session.export().sort_values("index")["label"]
        assert found.tolist() == labels


def test_a_time_without_its_offset_is_not_taken_for_that_of_another_row(tmp_path):
    times = pd.date_range("2026-01-01", periods=24, freq="h", tz="Europe/Berlin")
    pool = pd.DataFrame({"day": times, "price": 1.0})
    local = pool.assign(day=times.tz_localize(None), label="x")
    local.to_csv(tmp_path / "a.csv", index=False)
    with (
        open_session(pool) as session,
        pytest.raises(ValueError, match="None of the 24 samples"),
    ):
        session.import_labels(tmp_path / "a.csv")


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_texts_of_digits_and_marks_are_found(tmp_path, ending):
    texts = pd.Series(["123", "0456", "1.0", "NA", "'-quoted'", "-5", "=1", "'"])
    frame = pd.DataFrame({"text": texts, "label": "x"})
    path = tmp_path / f"a.{ending}"
    if ending == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_json(path, orient="records", lines=True)
    with open_session(texts) as session:
        assert session.import_labels(path) == len(texts)


def test_an_import_is_undone_as_a_whole():
    with open_session() as session:
        (question,) = session.ask()
        session.answer(question.id, "y")
        said = pd.DataFrame({"position": range(12), "label": "x", "annotator": "excel"})
        said.loc[:2, "annotator"] = "word"
        assert session.import_labels(said) == 12
        assert session.undo("excel") == session.id_of(TEXTS[3])
        assert set(session.export()["annotator"]) == {"me", "word"}
        with pytest.raises(ValueError, match="nothing to undo for 'excel'"):
            session.undo("excel")
        session.undo("word")
        assert session.export()["id"].tolist() == [question.id]
        assert question.id not in {one.id for one in session.ask(5)}


@pytest.mark.parametrize("background", [False, True])
def test_the_samples_of_an_undone_import_are_asked_about(tmp_path, background):
    path = tmp_path / "s.sqlite"
    all_of_them = pd.DataFrame({"position": range(len(TEXTS)), "label": "x"})
    with open_session(store=path, background=background) as session:
        expected = {one.id for one in session.ask(5)}
    with open_session(store=tmp_path / "other", background=background) as session:
        session.import_labels(all_of_them)
        assert session.ask(5) == []
        session.undo()
        assert {one.id for one in session.ask(5)} == expected
        while questions := session.ask(5):
            session.answer([one.id for one in questions], ["y"] * len(questions))
        assert session.progress().n_labels == len(TEXTS)


def test_samples_whose_labels_were_undone_are_asked_about():
    with open_session(n_instances=2, check_share=0) as session:
        for question in session.ask(2):
            session.answer(question.id, "x")
        session.ask(1)
        known = set(session.export().id)
        given = [name for name in sample_ids(TEXTS) if name not in known]
        for name in given:
            session.label(name, "y")
        assert session.ask(2) == []
        for _ in range(4):
            session.undo()
        asked = []
        while questions := session.ask(2):
            asked += [one.id for one in questions]
            session.answer([one.id for one in questions], ["x"] * len(questions))
        assert sorted(asked) == sorted(given[-4:])


def test_a_file_may_use_the_earlier_names_of_classes(tmp_path):
    frame = pd.DataFrame({"sample": TEXTS[:3], "label": CLASSES})
    frame.to_csv(tmp_path / "old.csv", index=False)
    with open_session() as session:
        session.rename_class("x", "w")
        session.merge_classes("y", "z")
        session.rename_class("w", "v")
        assert session.import_labels(tmp_path / "old.csv") == 3
        assert labels_of(session) == {0: "v", 1: "z", 2: "z"}
        session.add_class("x")  # now x is this class
        assert session.import_labels(frame.assign(annotator="ann")) == 3
        assert session.export().groupby("annotator")["label"].agg(list)["ann"] == [
            *("x", "z", "z")
        ]


def test_a_class_without_a_name_comes_back(tmp_path):
    with open_session(classes=["", "a"]) as session:
        for question in session.ask(3):
            session.answer(question.id, "")
        session.export(tmp_path / "a.csv")
    with open_session(classes=["", "a"]) as session:
        assert session.import_labels(tmp_path / "a.csv") == 3


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_images_given_as_paths_go_out_and_come_in_by_their_names(tmp_path, ending):
    odd = Path(os.fsdecode(b"caf\xe9.png"))  # not UTF-8
    paths = [Path("imgs") / "a.png", Path("b.png"), Path("-c.png"), Path("'-c.png")]
    pool, labels = [*paths, odd], ["x", "y", "z", "y", "x"]
    path = tmp_path / f"a.{ending}"
    with open_session(pool) as session:
        ids = [session.id_of(p) for p in pool]
        session.import_labels([(*said, "ann") for said in zip(ids, labels)])
        names = session.export(path)["sample"].tolist()
        assert names[:4] == [os.fspath(p) for p in paths]
    with open_session(pool) as session:
        assert session.import_labels(path) == 5  # by `id`
        assert session.export()["label"].tolist() == labels
    frame = pd.DataFrame({"sample": names[:4], "label": labels[:4]})
    sheet = tmp_path / "sheet.csv"
    frame.to_csv(sheet, index=False)
    for given in (frame, frame.assign(sample=paths), sheet):
        with open_session(pool) as session:
            assert session.import_labels(given) == 4
            assert session.export()["index"].tolist() == [0, 1, 2, 3]
            assert session.export()["label"].tolist() == labels[:4]


def test_a_series_of_paths_is_found_by_its_name_and_not_by_notes():
    pool = pd.Series([Path("a.png"), Path("b.png")], name="image")
    notes = pd.DataFrame({"text": ["blurred", "dark"], "label": ["x", "y"]})
    for given in (
        notes.assign(image=["a.png", "b.png"]),
        notes.assign(position=[0, 1]),
        notes.assign(position=[0, 1]).rename(columns={"text": "remark"}),
    ):
        with open_session(pool) as session:
            assert session.import_labels(given) == 2
            assert session.export()["index"].tolist() == [0, 1]
            assert session.export()["label"].tolist() == ["x", "y"]
