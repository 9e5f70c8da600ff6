"""No label is lost, duplicated or moved to another sample, in any order of actions.

COFM_SEQUENCES=2000 python -m pytest tests/properties/test_session_sequences.py
"""

import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sklearn.base import BaseEstimator, ClassifierMixin

from cofm_sklearn import AnnotationSession

N_SEQUENCES = int(os.environ.get("COFM_SEQUENCES", "30"))
# With one that comes twice, and line ends that files change.
TEXTS = ["one", "two\nlines", "three", "one", "four\n", "NA", "five, 5", "six"]
PEOPLE = ["me", "ann", "bob"]
LABELS = ["x", "y", "NA"]
CHANGES = ["add", "rename", "merge", "describe"]

people, labels = st.sampled_from(PEOPLE), st.sampled_from(LABELS)
texts = st.sampled_from(TEXTS)


class MostFrequent(ClassifierMixin, BaseEstimator):
    """A classifier of texts that trains instantly."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.repeat(self.classes_[:1], len(X))


def first_n(learner, X_pool, n_instances):
    return np.arange(n_instances)


def plain(text):
    return text.replace("\r\n", "\n")


class Paper:
    """A reference implementation of the history: all actions, without undone ones."""

    def __init__(self):
        self.says = []  # [who, kind, text, label]
        self.changes = []  # [the action, every label before it]
        self.imports = []  # what each import added to says

    def said_by(self, who, text):
        return [
            label
            for name, kind, about, label in self.says
            if (name, about) == (who, text) and kind not in ("skip", "classes")
        ]

    def bring(self, said, *, overwrite):
        """Import (who, text, label); return how many labels are new."""
        new = []
        for who, text, label in said:
            before = self.said_by(who, text)
            if not before or (overwrite and before[-1] != label):
                new.append([who, "import", text, label])
                self.says.append(new[-1])
        self.imports.append(new)
        return len(new)

    def undo(self, who):
        for say in reversed(self.says):
            if say[0] == who:
                if say[1] == "classes" and not self.change_back(say):
                    return None
                gone = [say]
                for new in self.imports:  # of an import, all labels of the person
                    if any(one is say for one in new):
                        gone = [one for one in new if one[0] == who]
                self.says = [s for s in self.says if not any(s is g for g in gone)]
                return gone[0][2]
        return None

    def name_now(self, label, classes):
        """Return what a class is called now that once had this name."""
        if label in classes:
            return label
        steps = [say[3] for say, _ in self.changes]
        pairs = [
            names if what == "rename" else names[::-1]
            for what, *names in steps
            if what in ("rename", "merge")
        ]
        for k in reversed(range(len(pairs))):
            if pairs[k][0] == label:
                for old, new in pairs[k:]:
                    label = new if label == old else label
                return label
        return None

    def change(self, who, renamed, content):
        before = [(say, say[3]) for say in self.says]
        for say in self.says:
            say[3] = renamed.get(say[3], say[3])
        self.says.append([who, "classes", "", content])
        self.changes.append((self.says[-1], before))

    def change_back(self, say):
        """Undo the last change of the classes, if it is this one."""
        last, before = self.changes[-1]
        what, *names = say[3]
        if last is not say or (what == "add" and self.has(names[0])):
            return False
        self.changes.pop()
        if what == "rename":  # also later labels
            for other in self.says:
                other[3] = names[0] if other[3] == names[1] else other[3]
        for other, label in before:
            other[3] = label
        return True

    def has(self, label):
        return any(say[3] == label for say in self.says)

    def table(self):
        """Return the current labels, by text and person."""
        found = {}
        for who, kind, text, label in self.says:
            if kind in ("skip", "classes"):
                continue
            here = found.setdefault(text, {})
            if kind == "relabel":
                for name in [n for n, (k, _) in here.items() if k == "import"]:
                    if here[name][1] != label:
                        del here[name]
            here[who] = (kind, label)
        return {
            (text, who): label
            for text, here in found.items()
            for who, (_, label) in here.items()
        }

    def skipped(self):
        done = {text for text, _ in self.table()}
        return {text for _, kind, text, _ in self.says if kind == "skip"} - done


def table_of(session):
    """Return the same from a session, by text."""
    frame = session.export()
    found = {}
    for row in frame.itertuples():
        assert session.id_of(row.sample) == row.id
        assert plain(session.X[row.index]) == plain(row.sample)
        key = plain(row.sample), row.annotator
        assert key not in found, "doubled"
        found[key] = row.label
    return found


class Sequences(RuleBasedStateMachine):
    """A session with its reference implementation."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.session = None
        self.paper, self.kept = Paper(), []

    def open_session(self, pool, name="s.sqlite"):
        return AnnotationSession(
            pool,
            MostFrequent(),
            first_n,
            classes=LABELS,
            store=Path(self.folder.name) / name,
            n_instances=2,
            background=False,
        )

    @initialize()
    def begin(self):
        self.session = self.open_session(TEXTS)

    @rule(order=st.permutations(TEXTS), windows=st.booleans(), series=st.booleans())
    def reopen(self, order, windows, series):
        self.session.close()
        pool = [t.replace("\n", "\r\n") if windows else t for t in order]
        self.session = self.open_session(
            pd.Series(pool, index=range(5, 5 + len(pool))) if series else pool
        )

    def name(self, label):
        """Return the current name of one of the labels."""
        classes = self.session.classes
        return classes[LABELS.index(label) % len(classes)]

    @rule(who=people, n=st.integers(1, 3))
    def ask(self, who, n):
        settled = {text for text, _ in self.paper.table()} | self.paper.skipped()
        for question in self.session.ask(n, annotator=who):
            assert plain(question.sample) not in settled
            assert self.session.id_of(question.sample) == question.id

    @rule(who=people, label=labels)
    def answer(self, who, label):
        label = self.name(label)
        for question in self.session.ask(annotator=who):
            self.session.answer(question.id, label, annotator=who)
            self.paper.says.append([who, "answer", plain(question.sample), label])

    @rule(who=people)
    def skip(self, who):
        for question in self.session.ask(annotator=who):
            self.session.skip(question.id, annotator=who)
            self.paper.says.append([who, "skip", plain(question.sample), None])

    @rule(who=people, label=labels, text=texts)
    def relabel(self, who, label, text):
        label = self.name(label)
        if any(text == about for about, _ in self.paper.table()):
            self.session.relabel(self.session.id_of(text), label, annotator=who)
            self.paper.says.append([who, "relabel", text, label])
        else:
            with pytest.raises(ValueError, match="no label yet"):
                self.session.relabel(self.session.id_of(text), label, annotator=who)

    @rule(who=people)
    def undo(self, who):
        text = self.paper.undo(who)
        if text is None:
            with pytest.raises(ValueError, match=r"nothing|changed again|be removed"):
                self.session.undo(annotator=who)
        else:
            expected = self.session.id_of(text) if text else ""
            assert self.session.undo(annotator=who) == expected

    @rule(who=people, label=labels, text=texts)
    def label_out_of_turn(self, who, label, text):
        label, sample = self.name(label), self.session.id_of(text)
        if any(text == about for about, _ in self.paper.table()):
            with pytest.raises(ValueError, match="has a label"):
                self.session.label(sample, label, annotator=who)
        else:
            self.session.label(sample, label, annotator=who)
            self.paper.says.append([who, "label", text, label])

    @rule(who=people)
    def keep(self, who):
        table = self.paper.table()
        if table:
            (text, _), label = next(iter(table.items()))
            self.session.relabel(self.session.id_of(text), label, annotator=who)
            self.paper.says.append([who, "relabel", text, label])

    @rule(who=people, label=labels, what=st.sampled_from(CHANGES))
    def change_classes(self, who, label, what):
        name, session = self.name(label), self.session
        new, all_but_one = f"{name}+", session.classes[1:]
        if what == "describe":
            session.describe_class(name, "as it is", annotator=who)
            self.paper.change(who, {}, ("describe", name))
            assert session.descriptions[name] == "as it is"
        elif what == "merge" and len(session.classes) < 3:
            with pytest.raises(ValueError, match="would leave one class"):
                session.merge_classes(all_but_one, session.classes[0])
        elif what != "merge" and new in session.classes:
            with pytest.raises(ValueError, match="already"):
                session.rename_class(name, new, annotator=who)
        elif what == "add":
            session.add_class(new, annotator=who)
            self.paper.change(who, {}, ("add", new))
        elif what == "rename":
            session.rename_class(name, new, annotator=who)
            self.paper.change(who, {name: new}, ("rename", name, new))
        else:
            into = next(other for other in session.classes if other != name)
            session.merge_classes(name, into, annotator=who)
            self.paper.change(who, {name: into}, ("merge", into, name))

    @rule()
    def release(self):
        n = self.session.progress().n_checks
        assert self.session.release_check() == n
        assert self.session.progress().n_checks == 0

    @rule(
        said=st.dictionaries(texts, labels, min_size=1, max_size=4),
        way=st.sampled_from(["tuples", "sample", "position", "series", "csv", "jsonl"]),
        who=people,
        overwrite=st.booleans(),
        odd=st.booleans(),
    )
    def bring(self, said, way, who, overwrite, odd):
        said = {text: self.name(label) for text, label in said.items()}
        pool = [plain(text) for text in self.session.X]
        rows = [pool.index(text) for text in said]
        names = self.session._names.index
        frame = pd.DataFrame({"sample": list(said), "label": list(said.values())})
        if way == "tuples":
            given = [(self.session.id_of(t), lab, who) for t, lab in said.items()]
        elif way == "position" or (way == "series" and names is None):
            given = pd.DataFrame({"position": rows, "label": frame["label"]})
        elif way == "series":
            given = pd.Series(list(said.values()), index=names[rows])
        else:
            if odd:
                frame.loc[len(frame)] = ["not in the pool", self.name("x")]
            given = frame
            if way in ("csv", "jsonl"):
                given = Path(self.folder.name) / f"labels.{way}"
                if way == "csv":
                    frame.to_csv(given, index=False)
                else:
                    frame.to_json(given, orient="records", lines=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is left out
            n_new = self.session.import_labels(given, who, overwrite=overwrite)
        given = [(who, text, label) for text, label in said.items()]
        assert n_new == self.paper.bring(given, overwrite=overwrite)

    @rule(ending=st.sampled_from(["csv", "jsonl"]))
    def export(self, ending):
        path = Path(self.folder.name) / f"kept{len(self.kept)}.{ending}"
        self.session.export(path)
        self.kept.append((path, self.paper.table()))

    @precondition(lambda self: self.kept)
    @rule(data=st.data(), overwrite=st.booleans())
    def bring_back(self, data, overwrite):
        path, table = data.draw(st.sampled_from(self.kept))
        classes = self.session.classes
        given = [
            (who, text, self.paper.name_now(label, classes))
            for (text, who), label in table.items()
        ]
        if not {label for *_, label in given} <= set(classes):
            with pytest.raises(ValueError, match="Unknown label"):
                self.session.import_labels(path, overwrite=overwrite)
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            n_new = self.session.import_labels(path, overwrite=overwrite)
        assert n_new == self.paper.bring(given, overwrite=overwrite)

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def move(self, data):
        path, table = data.draw(st.sampled_from(self.kept))
        if not set(table.values()) <= set(LABELS):
            return
        with self.open_session(TEXTS[::-1], ":memory:") as other:
            assert other.import_labels(path) == len(table)
            assert table_of(other) == table
        (Path(self.folder.name) / ":memory:").unlink()

    @invariant()
    def the_same_is_known(self):
        if self.session is None:
            return
        table = self.paper.table()
        assert table_of(self.session) == table
        found = self.session.progress()
        assert found.n_labels == len({text for text, _ in table})
        assert found.n_skipped == len(self.paper.skipped())
        assert list(found.counts) == self.session.classes
        learned = dict(zip(self.session.labeled, self.session.labels_))
        assert len(learned) == found.n_labels
        for row, label in learned.items():
            text = plain(self.session.X[row])
            said = {lab for (about, _), lab in table.items() if about == text}
            assert label in said

    def teardown(self):
        if self.session is not None:
            self.session.close()
        self.folder.cleanup()


@pytest.mark.timeout(600 + 2 * N_SEQUENCES)
def test_no_label_is_lost_doubled_or_on_another_sample():
    run_state_machine_as_test(
        Sequences,
        settings=settings(
            max_examples=N_SEQUENCES,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
