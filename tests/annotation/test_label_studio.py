"""Export to Label Studio, and import from it.

`label_studio_1.23.2.json` and `label_studio_1.23.2_min.json` are what a server of Label
Studio 1.23.2 exported after it had imported the tasks and the interface of the session
`handed_over` below; the five open tasks were answered in it, the last one cancelled.

The files `label_studio.json` and `label_studio_min.json` were written by hand. Their
fields and the kinds of their values are those of Label Studio's guide to its task
format (labelstud.io/guide/task_format), of exports quoted in public repositories
(2024, 2025), and, for JSON-MIN, of `convert_to_json_min` of label-studio-converter.
"""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from cofm_sklearn import AnnotationSession
from cofm_sklearn.annotation import (
    from_label_studio,
    label_studio_config,
    to_label_studio,
)

HERE = Path(__file__).parent
CLASSES = ["bug & crash", "praise", "question"]
TEXTS = [f"message {i} about {CLASSES[i % 3]} <tag> é" for i in range(45)]


def make_session():
    model = make_pipeline(HashingVectorizer(n_features=64), LogisticRegression())
    return AnnotationSession(
        TEXTS,
        model,
        first_n,
        classes=CLASSES,
        n_instances=5,
        annotator="ann",
        check_share=0,  # the files of a real server are of these questions
    )


def first_n(learner, X_pool, n_instances):
    return list(range(n_instances))


def check_task(task, config):
    """Check a task as Label Studio's guide to its task format describes it."""
    root = ElementTree.fromstring(config)
    control, shown = root.find("Choices"), root.find("Text")
    assert set(task) <= {"data", "annotations", "predictions"}
    assert task["data"][shown.get("value").removeprefix("$")] in TEXTS
    results = [
        result
        for made in [*task.get("annotations", []), *task.get("predictions", [])]
        for result in made["result"]
    ]
    assert results
    for result in results:
        assert result["from_name"] == control.get("name")
        assert result["to_name"] == control.get("toName") == shown.get("name")
        assert result["type"] == "choices"
        assert isinstance(result["id"], str)
        (choice,) = result["value"]["choices"]
        assert choice in [c.get("value") for c in control.findall("Choice")]
    for prediction in task.get("predictions", []):
        assert 0 <= prediction["score"] <= 1
        assert isinstance(prediction["model_version"], str)


@pytest.fixture
def handed_over(tmp_path):
    """A session with 15 labels, its tasks, and the interface."""
    with make_session() as session:
        for _ in range(15):
            (question,) = session.ask()
            session.answer(question.id, CLASSES[question.index % 3])
        tasks = to_label_studio(session, tmp_path / "tasks.json")
        assert json.loads((tmp_path / "tasks.json").read_text("utf-8")) == tasks
        yield session, tasks, label_studio_config(session)


def test_tasks_have_the_documented_format(handed_over):
    _, tasks, config = handed_over
    assert len(tasks) == 20
    assert sum("predictions" in task for task in tasks) == 5
    for task in tasks:
        check_task(task, config)


def test_label_studios_own_checks_accept_tasks(handed_over):
    sdk = pytest.importorskip("label_studio_sdk.label_interface")
    _, tasks, config = handed_over
    interface = sdk.LabelInterface(config)
    interface.validate()
    for task in tasks:
        # With annotations in it, label_studio_sdk 2.1.2 calls itself wrongly.
        assert interface.validate_task({"data": task["data"]})
        for annotation in task.get("annotations", []):
            assert interface.validate_annotation(annotation)
        for prediction in task.get("predictions", []):
            assert interface.validate_prediction(prediction)


def test_labels_come_back_the_same(handed_over):
    session, tasks, _ = handed_over
    before = session.export()
    # What Label Studio adds to an annotation that it imported.
    done = [
        {
            **task,
            "id": n,
            "annotations": task.get("annotations", task.get("predictions")),
        }
        for n, task in enumerate(tasks)
    ]
    assert from_label_studio(session, done[:15]) == 0
    assert session.export().equals(before)
    with make_session() as fresh:
        assert from_label_studio(fresh, done) == 20
        after = fresh.export().set_index("id")["label"]
        assert after[before["id"]].tolist() == before["label"].tolist()
        assert from_label_studio(fresh, done) == 0


@pytest.mark.parametrize("suffix", [".json", "_min.json"])
def test_round_trip_through_a_real_server(handed_over, suffix):
    session, tasks, _ = handed_over
    path = HERE / f"label_studio_1.23.2{suffix}"
    before = session.export().set_index("id")["label"]
    with make_session() as fresh:
        assert from_label_studio(fresh, path) == 19
        labels = fresh.export().set_index("id")["label"]
    assert labels[before.index].tolist() == before.tolist()
    asked = [task["data"]["cofm_id"] for task in tasks if "predictions" in task]
    given = [CLASSES[k % 3] for k in range(4)]  # as they were answered there
    assert [labels.get(sample) for sample in asked] == [*given, None]


@pytest.mark.parametrize("name", ["label_studio.json", "label_studio_min.json"])
def test_file_exported_by_label_studio_comes_in(name):
    with make_session() as session:
        n_new = from_label_studio(session, HERE / name, from_name="topic")
        frame = session.export().sort_values("index")
    assert n_new == len(frame)
    assert frame["index"].tolist() == [0, 1, 1, 4]
    assert frame["label"].tolist() == [CLASSES[0], CLASSES[1], CLASSES[2], CLASSES[1]]
    assert frame["annotator"].tolist() == [
        f"label-studio:{who}" for who in ["1", "1", "2", "1"]
    ]


@pytest.mark.parametrize("name", ["label_studio.json", "label_studio_min.json"])
def test_wrong_name_of_the_choices_is_not_taken_for_no_answer(name):
    message = r"from_name='label'; .*'topic"
    with make_session() as session, pytest.raises(ValueError, match=message):
        from_label_studio(session, HERE / name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["data"].clear(), "neither 'cofm_id'"),
        (
            lambda t: t["annotations"][0]["result"][0]["value"].update(choices=["x"]),
            "must be one of",
        ),
        (
            lambda t: t["annotations"][0]["result"][0]["value"].update(
                choices=CLASSES[:2]
            ),
            "must be one of",
        ),
    ],
)
def test_bad_file_imports_nothing(change, message):
    tasks = json.loads((HERE / "label_studio.json").read_text("utf-8"))
    change(tasks[1])
    with make_session() as session:
        with pytest.raises(ValueError, match=message):
            from_label_studio(session, tasks, from_name="topic")
        assert session.export().empty


def test_one_odd_task_does_not_keep_the_others_out():
    tasks = json.loads((HERE / "label_studio.json").read_text("utf-8"))
    tasks[1]["data"]["text"] = "not in the pool"
    with make_session() as session:
        with pytest.warns(UserWarning, match="2 of 4 labels were new.* 2 of a sample"):
            assert from_label_studio(session, tasks, from_name="topic") == 2
        for task in tasks:
            task["data"]["text"] = "not in the pool"
        with pytest.raises(ValueError, match="None of the 4 samples"):
            from_label_studio(session, tasks, from_name="topic")


def test_what_was_corrected_since_it_was_handed_over_stays(handed_over):
    session, tasks, _ = handed_over
    sample = tasks[0]["data"]["cofm_id"]
    session.relabel(sample, "question")
    before = session.export()
    assert from_label_studio(session, tasks[:15]) == 0
    assert session.export().equals(before)


def test_a_change_of_mind_in_label_studio_comes_in_where_it_is_wanted():
    tasks = json.loads((HERE / "label_studio.json").read_text("utf-8"))
    with make_session() as session:
        assert from_label_studio(session, tasks, from_name="topic") == 4
        value = tasks[0]["annotations"][0]["result"][0]["value"]
        value["choices"] = ["question"]
        with pytest.warns(UserWarning, match="1 that its annotator gave otherwise"):
            assert from_label_studio(session, tasks, from_name="topic") == 0
        again = {"from_name": "topic", "overwrite": True}
        assert from_label_studio(session, tasks, **again) == 1
        labels = session.export().set_index("index")["label"]
    assert labels[0] == "question"


def returned(task, choice, who=7):
    """The task as Label Studio exports it, with another choice."""
    task = json.loads(json.dumps(task))
    task["annotations"][0]["completed_by"] = who
    task["annotations"][0]["result"][0]["value"]["choices"] = [choice]
    return [task]


@pytest.mark.parametrize("verb", ["rename", "merge", "rename while it is there"])
def test_a_label_that_comes_back_unchanged_is_no_second_opinion(verb):
    with make_session() as session:
        (question,) = session.ask(1)
        session.answer(question.id, "praise")
        tasks = to_label_studio(session, n=1)
        if verb == "merge":
            session.merge_classes("praise", "question")
        else:
            session.rename_class("praise", "thanks")
        if not verb.endswith("there"):
            tasks = to_label_studio(session, n=1)
        (choice,) = tasks[0]["annotations"][0]["result"][0]["value"]["choices"]
        assert from_label_studio(session, returned(tasks[0], choice)) == 0
        assert from_label_studio(session, returned(tasks[0], "bug & crash")) == 1


def test_a_correction_that_is_changed_back_comes_in():
    with make_session() as session:
        (question,) = session.ask(1)
        session.answer(question.id, "praise")
        task, _ = to_label_studio(session, n=1)
        for choice in ("question", "praise"):
            came = from_label_studio(session, returned(task, choice), overwrite=True)
            assert came == 1
        labels = session.export().set_index("annotator")["label"]
        assert labels.tolist() == ["praise", "praise"]


def answered(**others):
    """A task of JSON with one answer, changed."""
    result = {"from_name": "label", "type": "choices", "value": {"choices": ["praise"]}}
    annotation = {"completed_by": 1, "result": [result]}
    return {"data": {"text": TEXTS[0]}, "annotations": [annotation], **others}


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        # doccano, in two forms; an export of before 1.0; a frame
        ([{"id": 1, "text": TEXTS[0], "label": ["praise"]}], "must be one of"),
        ([{"id": 1, "text": TEXTS[0], "labels": ["praise"]}], "tasks is not an export"),
        (
            [{"data": {"text": TEXTS[0]}, "completions": answered()["annotations"]}],
            "tasks is not an export",
        ),
        ([{"text": TEXTS[0], "topic": "praise"}], "tasks is not an export"),
    ],
)
def test_what_is_no_export_of_label_studio_is_an_error(tasks, message):
    with make_session() as session:
        with pytest.raises(ValueError, match=message):
            from_label_studio(session, tasks)
        assert session.export().empty


def test_a_column_of_the_task_is_no_answer():
    unanswered = {"text": TEXTS[1], "label": "old label", "annotation_id": None}
    done = {"text": TEXTS[0], "label": "praise", "annotation_id": 3, "annotator": 1}
    with make_session() as session:
        assert from_label_studio(session, [unanswered]) == 0
        assert from_label_studio(session, [unanswered, done]) == 1


@pytest.mark.parametrize("result", [None, {}])
def test_cancelled_annotations_are_left_out_whatever_is_in_them(result):
    cancelled = {"completed_by": 2, "was_cancelled": True, "result": result}
    task = answered()
    task["annotations"].insert(0, cancelled)
    with make_session() as session:
        assert from_label_studio(session, [task]) == 1


def test_answers_that_are_no_choices_are_named_with_their_type():
    task = answered()
    task["annotations"][0]["result"][0]["type"] = "taxonomy"
    message = r"names are .'label \(taxonomy\)'"
    with make_session() as session, pytest.raises(ValueError, match=message):
        from_label_studio(session, [task])
