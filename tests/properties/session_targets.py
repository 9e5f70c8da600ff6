"""Calls of sessions with drawn arguments, and what must hold of the results."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from cofm_sklearn import AnnotationSession, CoDecisionClassifier, PrecomputedPrior
from cofm_sklearn.annotation import (
    from_label_studio,
    label_studio_config,
    to_label_studio,
)
from cofm_sklearn.loop import TargetScore

__all__ = ["check_shares", "journey", "label_studio", "session"]


def check_shares(values):
    values = np.asarray(values, dtype=float)
    assert ((values >= 0) & (values <= 1)).all()


def session(d):
    n, names = d.number(1, 12), d.names(kind=d.one("str", "int")).tolist()
    texts = [f"text {d.number(0, 20)}" for _ in range(n)]
    X, model = d.maybe(d.one(d.table(n, 2), d.table(n, 2), texts)), GaussianNB()
    with AnnotationSession(
        X,
        d.maybe(model),
        classes=d.maybe(names),
        n_instances=d.maybe(d.number(1, 4)),
        annotator=d.maybe("me"),
        background=d.chance(0.2),
        random_state=d.maybe(0),
    ) as labels:
        ids, said = [], 0
        for _ in range(d.number(1, 6)):
            verb = d.one("ask", "answer", "answer", "relabel", "skip", "undo", "out")
            if verb == "ask":
                ids += [q.id for q in labels.ask(d.maybe(d.number(1, 3)))]
            elif verb == "undo" and said:
                labels.undo()
                said -= 1
            elif verb in ("answer", "relabel", "skip") and ids:
                one, name = d.maybe(d.one(*ids)), d.maybe(d.one(*names))
                verb = getattr(labels, verb)
                verb(one) if verb == labels.skip else verb(one, name)
                said += 1
            elif verb == "out":
                before = labels.export()
                labels.import_labels(d.maybe(before), overwrite=d.chance(0.3))
                pd.testing.assert_frame_equal(labels.export(), before)
                _bring(d, labels, X, names)
                d.one(labels.review, labels.progress, labels.export)()
                label_studio_config(labels, kind=d.maybe(d.one("text", "image")))
        assert len(labels.labeled) == len(labels.labels_) <= n


def journey(d):
    """Everything that people do in a session beside answering, in any order."""
    n, names = d.number(2, 12), d.names(kind=d.one("str", "int")).tolist()
    kind, model = d.one("table", "texts", "prior"), LogisticRegression(max_iter=20)
    if kind == "texts":
        X = [f"text {d.number(0, 9)} {d.one('a', 'b')}" for _ in range(n)]
        model = make_pipeline(HashingVectorizer(n_features=8), model)
    elif kind == "prior":
        X = d.rng.dirichlet(np.ones(len(names)), size=n)
        model = CoDecisionClassifier(model, PrecomputedPrior(names), random_state=0)
    else:
        X = np.round(d.rng.normal(size=(n, 2)), d.number(0, 2))
    with AnnotationSession(
        X,
        model,
        classes=names,
        n_instances=d.number(1, 4),
        check_share=d.maybe(d.one(0, 0.2, 0.5)),
        stopping=d.one(None, TargetScore(d.maybe(0.6))),
        background=False,
    ) as labels:
        for _ in range(d.number(2, 10)):
            before = labels.store.events(), labels.classes
            try:
                _one_step(d, labels)
            except (ValueError, TypeError):
                # A rejected call changes nothing.
                assert (labels.store.events(), labels.classes) == before
                raise
        found = labels.progress()
        assert labels.classes == sorted(set(labels.classes))
        assert list(found.counts) == labels.classes
        assert sum(found.counts.values()) == found.n_labels == len(labels.labeled)
        assert set(labels.labels_.tolist()) <= set(labels.classes)


def _one_step(d, labels):
    known = set(labels.export()["id"])
    left = [one for one in labels._ids if one not in known]
    new = d.one("new", "new too") if isinstance(labels.classes[0], str) else 77
    name = d.one(*labels.classes)
    way = d.one(
        *("answer", "answer", "answer", "label", "search", "near", "check", "release"),
        *("add", "rename", "merge", "describe", "undo", "keep", "pool", "out", "map"),
    )
    if way == "answer":
        for question in labels.ask(d.number(1, 3))[-1:]:
            labels.answer(question.id, d.maybe(d.one(*labels.classes)))
    elif way == "label" and left:
        ids = list(dict.fromkeys([d.one(*left), d.one(*left)]))
        labels.label(d.maybe(ids), d.maybe([name] * len(ids)))
    elif way == "search":
        is_text = isinstance(labels.X[0], str)
        has_opinion = bool(known) or hasattr(labels._batches.told.estimator, "prior")
        hits = labels.search(
            d.maybe(d.one(None, "1", "TEXT") if is_text else None),
            predicted=d.maybe(d.one(None, name) if has_opinion else None),
            labeled=d.maybe(d.one(None, True, False)),
            order=d.maybe(d.one("pool", "suspects", *["uncertain"] * has_opinion)),
            n=d.maybe(d.number(1, 5)),
        )
        assert all(hit.id in labels._rows for hit in hits)
    elif way == "near":
        for one in labels.near_duplicates(d.maybe(d.one(*labels._ids))):
            assert one.label is None
    elif way == "check":
        score = labels.check_score()
        if score is not None:
            check_shares([score.accuracy, *score.accuracy_interval])
            check_shares([score.balanced_accuracy, *score.balanced_accuracy_interval])
    elif way == "release":
        assert labels.release_check(d.maybe("me")) >= 0
        assert labels.progress().n_checks == 0
    elif way == "add" and new not in labels.classes:
        labels.add_class(d.maybe(new), d.maybe(d.one(None, "what is new")))
    elif way == "rename" and new not in labels.classes:
        labels.rename_class(d.maybe(name), d.maybe(new))
    elif way == "merge" and len(labels.classes) > 2:
        labels.merge_classes(
            d.maybe([one for one in labels.classes if one != name][:1]), d.maybe(name)
        )
    elif way == "describe":
        labels.describe_class(d.maybe(name), d.maybe("it is what it is"))
        assert "it is what it is" in labels.descriptions.values() or d.evil
    elif way == "undo" and labels._answers.history.last_action("me"):
        labels.undo(d.maybe("me"))
    elif way == "keep":
        for question in labels.review(d.maybe(d.number(1, 3))):
            labels.relabel(question.id, question.label)
        assert len(labels.export()) == len(known)
    elif way == "pool" and known:
        table = labels.label_pool(target_precision=d.maybe(d.one(None, 0.8)))
        assert len(table) == len(labels._ids)
        assert set(table["label"].dropna()) <= set(labels.classes)
    elif way == "out" and known:
        with tempfile.TemporaryDirectory() as folder:
            labels.write_report(Path(folder) / "r.html", kind=d.maybe("auto"))
        assert len(labels.model_.predict(labels.X)) == len(labels.X)
    elif way == "map":
        assert len(labels.pool_map()) == len(labels._rows)


def _cells(d, values):
    """Return a column whose cells may contain anything."""
    cells = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        cells[i] = d.maybe(value)
    return pd.Series(cells)


def _bring(d, labels, X, names):
    """Import labels, with every way to identify their samples."""
    rows = d.rng.permutation(len(X))[: d.number(0, 3)]
    said = [d.one(*names) for _ in rows]
    frame = pd.DataFrame({"label": _cells(d, said)})
    way = d.one("position", "index", "sample", "id", "series", "tuples")
    if way == "series":
        given = pd.Series(_cells(d, said).array, index=rows + d.one(0, 0, 1))
    elif way == "tuples":
        given = [(labels._ids[i], d.maybe(name), "ann") for i, name in zip(rows, said)]
    elif way == "sample":
        given = frame.assign(sample=_cells(d, [str(labels.X[i]) for i in rows]))
    else:
        found = [labels._ids[i] for i in rows] if way == "id" else rows
        given = frame.assign(**{way: _cells(d, found)})
    n_before = len(labels.export())
    n_new = labels.import_labels(d.maybe(given), "ann", overwrite=d.chance(0.3))
    assert len(labels.export()) <= n_before + n_new


def label_studio(d):
    texts = [f"text {i}" for i in range(d.number(1, 8))]
    names = ["a", "b"]
    with AnnotationSession(
        texts, GaussianNB(), classes=names, background=False
    ) as labels:
        rows = range(d.number(0, len(texts)))
        frame = pd.DataFrame({"index": rows, "label": [d.one(*names) for _ in rows]})
        labels.import_labels(d.maybe(frame))
        tasks = [
            {
                "data": d.maybe({"text": d.one(*texts)}),
                "annotations": [
                    {
                        "result": [
                            {
                                "type": "choices",
                                "from_name": "label",
                                "value": {"choices": d.maybe([d.one(*names)])},
                            }
                        ],
                        "completed_by": d.maybe(3),
                    }
                ],
            }
            for _ in range(d.number(0, 3))
        ]
        if d.chance(0.5):
            tasks = [{"text": d.one(*texts), "label": d.maybe("a"), "id": 1}]
        before = len(labels.export())
        new = from_label_studio(labels, d.maybe(tasks))
        assert 0 <= len(labels.export()) - before <= new
        from_label_studio(labels, d.maybe(tasks), overwrite=d.chance(0.5))
        if d.chance(0.2):
            to_label_studio(labels, n=d.maybe(1))
