"""A session keeps all labels, in any order of actions and any alphabet."""

import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sklearn.naive_bayes import GaussianNB

from cofm_sklearn import AnnotationSession

TEXTS = [f"text {i}" for i in range(6)]
X = pd.DataFrame({"a": [0.0, 1, 2, 3, 4, 5], "b": [5.0, 3, 1, 0, 2, 4]})
# What a file can hold: all but lone surrogates, and NUL, which ends a CSV field.
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
names = names.filter(bool)
classes = st.one_of(
    st.lists(names, min_size=2, max_size=3, unique=True),
    st.lists(
        st.sampled_from(["1", "01", "1.0", "True", "nan", "NA"]),
        min_size=2,
        max_size=3,
        unique=True,
    ),
    st.lists(st.integers(-(2**31), 2**31), min_size=2, max_size=3, unique=True),
    st.just([True, False]),
)


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
@given(classes=classes, people=st.lists(names, min_size=1, max_size=2), data=st.data())
def test_what_is_exported_comes_back(ending, classes, people, data):
    said = [
        (text, data.draw(st.sampled_from(classes)), data.draw(st.sampled_from(people)))
        for text in TEXTS[:3]
    ]
    settings = {"classes": classes, "background": False}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"labels.{ending}"
        with AnnotationSession(TEXTS, GaussianNB(), **settings) as session:
            session.import_labels([(session.id_of(t), *others) for t, *others in said])
            before = session.export(path)
        with AnnotationSession(TEXTS, GaussianNB(), **settings) as session:
            assert session.import_labels(path) == len(said)
            assert session.import_labels(path) == 0
            after = session.export()
    columns = ["id", "label", "annotator", "sample"]
    assert after[columns].to_dict("list") == before[columns].to_dict("list")


class Labelling(RuleBasedStateMachine):
    """A session compared with a reference implementation."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.session = None
        self.labels, self.skipped, self.past = {}, set(), []

    @initialize()
    def open(self):
        if self.session is not None:
            self.session.close()
        self.session = AnnotationSession(
            X,
            GaussianNB(),
            classes=["a", "b"],
            store=Path(self.folder.name) / "s.sqlite",
            n_instances=2,
            background=False,
        )

    @rule()
    def close_and_open(self):
        self.open()

    def remember(self):
        self.past.append((dict(self.labels), set(self.skipped)))

    @rule(label=st.sampled_from("ab"))
    def answer(self, label):
        for question in self.session.ask():
            assert question.id not in self.labels.keys() | self.skipped
            self.remember()
            self.session.answer(question.id, label)
            self.labels[question.id] = label

    @rule()
    def skip(self):
        for question in self.session.ask():
            self.remember()
            self.session.skip(question.id)
            self.skipped.add(question.id)

    @rule(label=st.sampled_from("ab"))
    def relabel(self, label):
        if self.labels:
            sample = next(iter(self.labels))
            self.remember()
            self.session.relabel(sample, label)
            self.labels[sample] = label

    @rule()
    def undo(self):
        if self.past:
            self.session.undo()
            self.labels, self.skipped = self.past.pop()
        else:
            with pytest.raises(ValueError, match="nothing to undo for 'me'"):
                self.session.undo()

    @rule(label=st.sampled_from(["c", 1, None]))
    def answer_wrongly(self, label):
        for question in self.session.ask():
            with pytest.raises(ValueError, match="Unknown label"):
                self.session.answer(question.id, label)

    @invariant()
    def the_same_is_known(self):
        if self.session is not None:
            frame = self.session.export()
            assert dict(zip(frame["id"], frame["label"])) == self.labels
            found = self.session.progress()
            assert found.n_labels == len(self.labels)
            assert found.n_skipped == len(self.skipped)

    def teardown(self):
        self.session.close()
        self.folder.cleanup()


def test_any_order_of_verbs():
    few = settings(
        max_examples=max(settings().max_examples // 2, 1), stateful_step_count=10
    )
    run_state_machine_as_test(Labelling, settings=few)
