"""From a folder of images to a model in use, with a real (tiny) CLIP model."""

import os
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import cofm_sklearn
from cofm_sklearn import (
    AnnotationSession,
    AnnotationWidget,
    CoDecisionClassifier,
    OpenCLIPEncoder,
    ZeroShotPrior,
)
from cofm_sklearn.annotation import PoolMapDisplay

pytest.importorskip("open_clip")
Image = pytest.importorskip("PIL.Image")

NAMES = ["blue", "green", "red"]
N = 75
IN_USE = """
import sys
import joblib
from pathlib import Path
model = joblib.load("model.joblib")
print(*model.predict([Path(name) for name in sys.argv[1:]]))
"""


def pictures(folder, color_images):
    """Write pictures of three colours; most of one colour are nearly the same."""
    rng = np.random.RandomState(0)
    truth = rng.choice(NAMES, N, p=[0.5, 0.3, 0.2])
    X = color_images(truth, rng)
    paths = [folder / f"<b>{i}.png" for i in range(N)]  # untrusted names
    folder.mkdir()
    for path, picture in zip(paths, X):
        Image.fromarray(picture).save(path)
    return X, paths, dict(enumerate(truth))


@pytest.mark.parametrize("kind", ["paths", "texts", "array", "PIL"])
def test_the_whole_journey(tmp_path, monkeypatch, clip_folder, color_images, kind):
    monkeypatch.chdir(tmp_path)  # paths are ids: the same ones each time
    array, paths, truth = pictures(Path("pictures"), color_images)
    X = {
        "paths": paths,
        "texts": [str(path) for path in paths],
        "array": array,
        "PIL": [Image.fromarray(one) for one in array],
    }[kind]
    shown = "image" if kind == "texts" else "auto"
    encoder = OpenCLIPEncoder(clip_folder, device="cpu")
    prior = ZeroShotPrior({name: f"something {name}" for name in NAMES}, encoder)
    model = make_pipeline(
        encoder, CoDecisionClassifier(LogisticRegression(C=100), prior, random_state=0)
    )

    def open_session(n):
        store = tmp_path / "labels.sqlite"
        return AnnotationSession(
            X[:n], model, store=store, n_instances=5, check_share=0.2
        )

    with open_session(60) as session:
        widget = AnnotationWidget(session, kind=shown)
        reply = widget.handle({"type": "hello"})
        for _ in range(30):
            while not reply["questions"]:
                reply = widget.handle({"type": "more"})
            one = reply["questions"][0]
            assert one["image"].startswith("data:image/jpeg;base64,")
            label = NAMES.index(truth[session._rows[one["id"]]])
            reply = widget.handle({"type": "answer", "id": one["id"], "label": label})
            assert "error" not in reply

        hits = session.search(predicted="blue", labeled=False, order="uncertain")
        assert hits
        assert {max(one.proba, key=one.proba.get) for one in hits} == {"blue"}
        reply = widget.handle({"type": "search", "predicted": 0, "order": "uncertain"})
        assert all(hit["image"].startswith("data:image/") for hit in reply["hits"])
        if kind in ("paths", "texts"):  # the search reads file names
            assert [q.index for q in session.search(text="<B>7.png")] == [7]
        else:
            with pytest.raises(ValueError, match="no text to search"):
                session.search(text="7")
        reply = widget.handle({"type": "show", "id": hits[0].id})
        assert reply["found"]["image"].startswith("data:image/")

        left = session.search(labeled=False, n=N)
        near = {q.id: session.near_duplicates(q.id) for q in left}
        one = max(near, key=lambda one: len(near[one]))
        name = truth[session._rows[one]]
        assert near[one]
        assert {truth[other.index] for other in near[one]} == {name}
        session.label([other.id for other in near[one]], [name] * len(near[one]))

        suspect = session.review(1)[0]
        wrong = next(name for name in NAMES if name != suspect.label)
        session.relabel(suspect.id, wrong)
        session.rename_class("green", "leaf")
        session.undo()
        points = widget.handle({"type": "map"})["map"]
        assert len(points) == 60
        display = PoolMapDisplay.from_session(session)
        assert len(display.ax_.get_legend().get_texts()) == 5

        session.write_report(tmp_path / "report.html", kind=shown)
        report = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert report.count("<img ") >= 1
        assert "data:image/jpeg;base64," in report
        assert "<b>" not in report
        assert "<circle" in report

        assert session.check_score().n == 6
        pool = session.label_pool()
        assert len(pool) == 60
        found = pool["label"].to_numpy() == [truth[i] for i in range(60)]
        assert found.mean() > 0.9
        joblib.dump(session.model_, tmp_path / "model.joblib")
        expected = session.predict(X[60:])
        n_labels = session.progress().n_labels

    assert (tmp_path / "model.joblib").stat().st_size < 2_000_000  # without weights
    done = subprocess.run(
        [sys.executable, "-c", IN_USE, *map(str, paths[60:])],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(cofm_sklearn.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == expected.tolist()

    with open_session(N) as session:  # a week later, with more images
        assert session.progress().n_labels == n_labels
        assert session.progress().n_pool == N
        new = [q for q in session.ask(10) if q.index >= 60]
        session.answer([q.id for q in new], [truth[q.index] for q in new])
        assert session.progress().n_labels == n_labels + len(new)
