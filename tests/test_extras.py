"""What works without the extras, and which errors name a missing extra."""

import subprocess
import sys
import textwrap

import pytest

EXTRAS = {
    "torch": "nets",
    "skorch": "nets",
    "modAL": "modal",
    "sentence_transformers": "text",
    "open_clip": "image",
    "PIL": "image",
    "anywidget": "notebook",
    "matplotlib": "demo",
    "dask": "distributed",
    "pyarrow": "distributed",
    "skactiveml": "baselines",
    "cleanlab": "baselines",
}


BLOCK = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {modules}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
"""


def run_without(modules, code):
    """Run code in a process that cannot import some modules."""
    blocked = BLOCK.format(modules=list(modules))
    done = subprocess.run(
        [sys.executable, "-c", blocked + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_core_is_enough_for_embeddings():
    run_without(
        EXTRAS,
        """
        import numpy as np
        from sklearn.datasets import make_blobs
        from sklearn.linear_model import LogisticRegression
        from cofm_sklearn import *
        from cofm_sklearn.noise import estimate_noise
        X, y = make_blobs([40, 30, 10], n_features=4, random_state=0)
        y = np.array(["a", "b", "c"])[y]
        prior = PrecomputedPrior(["a", "b", "c"], columns=[4, 5, 6])
        X = np.hstack([X, np.full((80, 3), 1 / 3)])
        model = CoDecisionClassifier(LogisticRegression(), prior, random_state=0)
        learner = Learner(model, CoDecisionQuery(random_state=0))
        picked = learner.query(X, 12)
        assert learner.teach(X[picked], y[picked]).predict(X).shape == (80,)
        loop = ActiveLearningClassifier(model, CoDecisionQuery(), budget=20)
        assert loop.fit(X, y).score(X, y) > 0.5
        with AnnotationSession(X, model, background=False) as session:
            [question] = session.ask()
            session.answer(question.id, "a")
        estimate_noise(y, loop.predict_proba(X), classes=loop.classes_)
        """,
    )


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        ("torch", "NetClassifier().fit([[0.0], [1.0]], [0, 1])"),
        ("skorch", "NetClassifier().fit([[0.0], [1.0]], [0, 1])"),
        ("torch", "CoDecisionQuery(device='cpu')(LogisticRegression(), [[0.0], [1]])"),
        ("sentence_transformers", "SentenceTransformerEncoder().transform(['a text'])"),
        ("open_clip", "OpenCLIPEncoder().transform(np.zeros((1, 8, 8), np.uint8))"),
        ("anywidget", "AnnotationWidget(session)._repr_mimebundle_()"),
        ("pyarrow", "ParquetEmbeddings('pool.parquet', 'x')"),
        ("skactiveml", "SkactivemlQuery(object())(LogisticRegression(), [[0.0], [1]])"),
    ],
)
def test_a_missing_extra_is_named(missing, code):
    said = run_without(
        [missing],
        f"""
        import numpy as np
        from sklearn.linear_model import LogisticRegression
        from cofm_sklearn import *
        from cofm_sklearn.datasets import ParquetEmbeddings
        from cofm_sklearn.query import SkactivemlQuery
        session = AnnotationSession(
            ["a", "b"], LogisticRegression(), classes=[0, 1], background=False
        )
        try:
            {code}
        except ImportError as error:
            print(error)
        """,
    )
    assert f"cofm_sklearn[{EXTRAS[missing]}]" in said
