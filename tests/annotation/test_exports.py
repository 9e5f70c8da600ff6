"""Exports are complete; imports end in labels or a clear error."""

import contextlib
import csv
import os
import random
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

from cofm_sklearn import AnnotationSession
from cofm_sklearn.annotation import from_label_studio, to_label_studio
from cofm_sklearn.annotation.exchange import _as_text, _as_written
from cofm_sklearn.utils.files import whole_file

TEXTS = ["=1+1", "+a", "-b", "@c", "\tx", "\ry", "'=quoted", "''+d", "'plain", "plain"]
CLASSES = ["-no", "=yes", "'-odd"]


def open_session(**settings):
    return AnnotationSession(
        TEXTS,
        make_pipeline(CountVectorizer(analyzer="char"), MultinomialNB()),
        classes=CLASSES,
        background=False,
        **settings,
    )


@pytest.fixture
def session():
    with open_session() as session:
        said = [
            (session.id_of(text), CLASSES[i % 3], ["@ann", "bob"][i % 2])
            for i, text in enumerate(TEXTS)
        ]
        session.import_labels(said)
        yield session


def test_no_cell_of_a_csv_is_a_formula(session, tmp_path):
    before = session.export(tmp_path / "a.csv")
    with open(tmp_path / "a.csv", newline="", encoding="utf-8") as file:
        for row in csv.reader(file):
            for cell in row:
                assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    with open_session() as again:
        assert again.import_labels(tmp_path / "a.csv") == len(TEXTS)
        after = again.export()
    columns = ["id", "label", "annotator", "sample"]
    assert after[columns].to_dict() == before[columns].to_dict()
    assert before["sample"].tolist() == TEXTS  # the table itself has them as they are
    sheet = pd.read_csv(tmp_path / "a.csv", dtype=str, keep_default_na=False)
    sheet.drop(columns=["id", "index"]).to_csv(
        tmp_path / "b.csv", index=False, quoting=csv.QUOTE_ALL
    )
    with open_session() as again:  # found by their texts
        assert again.import_labels(tmp_path / "b.csv") == len(TEXTS)
        assert again.export()[columns].to_dict() == before[columns].to_dict()


@given(st.text(st.sampled_from("'=+-@\t\ra")))
def test_marks_come_off_again(text):
    assert _as_written(_as_text(text)) == text
    assert not _as_text(text).startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "json"])
def test_an_export_that_fails_leaves_what_was_there(session, tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    path.write_text("what was there")
    to_studio = partial(to_label_studio, session)
    write = to_studio if ending == "json" else session.export

    class Full(Exception):
        pass

    def fail(*args, **kwargs):
        raise Full

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fail)  # the disk is full at the last moment
        with pytest.raises(Full):
            write(path)
    assert path.read_text() == "what was there"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    write(path)
    assert path.read_text(errors="replace") != "what was there"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_an_export_through_a_link_replaces_what_it_points_to(session, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "a.csv").symlink_to(tmp_path / "there" / "b.csv")
    session.export(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").is_symlink()
    assert (tmp_path / "there" / "b.csv").is_file()
    with (
        pytest.raises(ValueError, match="there is no folder"),
        whole_file(tmp_path / "none" / "a"),
    ):
        pass


@pytest.mark.parametrize(
    "tasks",
    [
        "[" * 100_000,
        '[{"annotations": ' + "[" * 900 + "]" * 900 + "}]",
        '[{"data": {"cofm_id": ' + "[" * 900 + "]" * 900 + '}, "label": "-no"}]',
        *(
            f'[{{"data": {{"text": "plain"}}, "annotations": [{annotation}]}}]'
            for annotation in [
                '{"result": [{"from_name": []}]}',
                '{"completed_by": [[]], "result": [{"type": "choices", "from_name": '
                '"label", "value": {"choices": ["-no"]}}]}',
                '{"result": [{"type": "choices", "from_name": "label", "value": '
                '{"choices": ' + "[" * 900 + "]" * 900 + "}}]}",
            ]
        ),
    ],
)
def test_odd_exports_of_label_studio_are_clear_errors(session, tmp_path, tasks):
    (tmp_path / "a.json").write_text(tasks)
    before = session.export()
    with pytest.raises(ValueError, match=r"\w{4}"):
        from_label_studio(session, tmp_path / "a.json")
    pd.testing.assert_frame_equal(session.export(), before)


def test_a_label_without_an_email_is_its_annotators(session):
    task = {
        "data": {"text": "plain"},
        "annotations": [
            {
                "completed_by": {"id": 7, "email": None},
                "result": [
                    {
                        "type": "choices",
                        "from_name": "label",
                        "value": {"choices": ["=yes"]},
                    }
                ],
            }
        ],
    }
    assert from_label_studio(session, [task]) == 1
    assert session.export()["annotator"].iloc[-1] == "label-studio:7"


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "json"])
def test_damaged_exports_end_in_labels_or_in_a_clear_error(session, tmp_path, ending):
    path, rng = tmp_path / f"a.{ending}", random.Random(0)
    to_label_studio(session, path) if ending == "json" else session.export(path)
    whole = path.read_bytes()
    valid = {session.id_of(text) for text in TEXTS}
    for _ in range(60):
        content = bytearray(whole)
        if rng.random() < 0.3:
            del content[rng.randrange(len(content)) :]
        for _ in range(rng.choice([0, 1, 1, 5])):
            if content:
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        with open_session() as again:
            try:
                if ending == "json":
                    from_label_studio(again, path)
                else:
                    again.import_labels(path)
            except ValueError:
                assert again.export().empty  # all of a file, or nothing
            frame = again.export()
        assert set(frame["id"]) <= valid
        assert set(frame["label"]) <= set(CLASSES)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_no_labels_go_out_and_come_in(tmp_path, ending):
    with open_session() as session:
        session.export(tmp_path / f"a.{ending}")
        assert session.import_labels(tmp_path / f"a.{ending}") == 0


def test_paths_that_are_not_utf8_go_to_label_studio_and_back(tmp_path):
    class Nothing(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.classes_ = np.unique(y)
            return self

        def predict(self, X):
            return np.repeat(self.classes_[:1], len(X))

    paths = [Path(os.fsdecode(b"caf\xe9.png")), Path("b.png")]
    settings = {"classes": ["a", "b"], "background": False}
    with AnnotationSession(paths, Nothing(), first_n, **settings) as session:
        session.import_labels([(session.id_of(paths[0]), "a", "ann")])
        to_label_studio(session, tmp_path / "a.json", n=1)
    with AnnotationSession(paths, Nothing(), first_n, **settings) as session:
        assert from_label_studio(session, tmp_path / "a.json") == 1
        assert session.export()["index"].tolist() == [0]


def first_n(learner, X_pool, n_instances):
    return np.arange(n_instances)


def test_no_flipped_bit_in_a_parquet_file_gives_another_label(session, tmp_path):
    path = tmp_path / "a.parquet"
    session.export(path)
    whole = path.read_bytes()
    before = labels_in(session)
    for at in range(0, len(whole) - 8, 29):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        with open_session() as again, contextlib.suppress(ValueError):
            again.import_labels(path)
            assert labels_in(again).items() <= before.items(), at


def labels_in(session):
    frame = session.export()
    return dict(zip(frame["id"], frame["label"]))
