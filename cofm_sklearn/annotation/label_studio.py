"""Export tasks to Label Studio, and import its annotations."""

import hashlib
import json
import reprlib
from os import PathLike
from pathlib import Path
from xml.sax.saxutils import quoteattr

from cofm_sklearn.utils.files import whole_file
from cofm_sklearn.utils.validation import check_option

__all__ = ["from_label_studio", "label_studio_config", "to_label_studio"]

_FROM, _TO = "label", "sample"


def label_studio_config(session, *, kind="text"):
    """Return the labelling interface for a Label Studio project.

    Parameters
    ----------
    session : AnnotationSession
        Its classes become the choices.

    kind : {"text", "image"}, default="text"
        Type of the samples; images are shown from their path or URL.

    Returns
    -------
    str
        XML, to paste into the project's settings.

    Raises
    ------
    ValueError
        If `kind` is unknown.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn import AnnotationSession
    >>> from cofm_sklearn.annotation import label_studio_config
    >>> with AnnotationSession(
    ...         [[0.0], [1.0]], LogisticRegression(), classes=["a", "b"]) as session:
    ...     print(label_studio_config(session))
    <View>
      <Text name="sample" value="$sample"/>
      <Choices name="label" toName="sample" choice="single" showInline="true">
        <Choice value="a"/>
        <Choice value="b"/>
      </Choices>
    </View>
    """
    check_option("kind", kind, ("text", "image"))
    choices = "\n".join(
        f"    <Choice value={quoteattr(str(label))}/>" for label in session.classes
    )
    return (
        "<View>\n"
        f'  <{kind.capitalize()} name="{_TO}" value="${_TO}"/>\n'
        f'  <Choices name="{_FROM}" toName="{_TO}" choice="single" '
        'showInline="true">\n'
        f"{choices}\n  </Choices>\n</View>"
    )


def to_label_studio(session, path=None, *, n=None, model_version="cofm_sklearn"):
    """Export tasks for Label Studio: labelled samples and the next questions.

    Questions carry a prediction with its score; labels are sent as annotations. The
    questions stay open in the session until their answers are imported.

    Parameters
    ----------
    session : AnnotationSession
        Samples are texts, or paths or URLs of images.

    path : str, path-like or None, default=None
        A ``.json`` file to write; None only returns the tasks.

    n : int or None, default=None
        Number of questions to export; None exports one batch.

    model_version : str, default="cofm_sklearn"
        Name of the predictions in Label Studio.

    Returns
    -------
    list of dict
        Tasks in Label Studio's JSON format; ``data["cofm_id"]`` is the sample's id.
    """
    labels = session.export()
    tasks = []
    for sample, rows in labels.dropna(subset="index").groupby("id", sort=False):
        tasks.append(
            {
                "data": _data(session, sample, rows["index"].iloc[0]),
                "annotations": [
                    {"result": [_result(sample, label, _mark(sample, label))]}
                    for label in rows["label"]
                ],
            }
        )
    for question in session.ask(session.n_instances if n is None else n):
        task = {"data": _data(session, question.id, question.index)}
        if question.proba is not None:
            label = max(question.proba, key=question.proba.get)
            task["predictions"] = [
                {
                    "model_version": model_version,
                    "score": question.proba[label],
                    "result": [_result(question.id, label, _mark(question.id))],
                }
            ]
        tasks.append(task)
    if path is not None:
        text = json.dumps(tasks, ensure_ascii=False, indent=2)
        with whole_file(path) as part:
            # Invalid UTF-8, as in odd paths, becomes JSON's own \\u escape.
            part.write_text(text, encoding="utf-8", errors="backslashreplace")
    return tasks


def from_label_studio(session, tasks, *, from_name=_FROM, overwrite=False):
    """Import annotations that Label Studio exported as JSON or JSON-MIN.

    Cancelled annotations, tasks without annotations, and labels that `to_label_studio`
    sent and that come back unchanged are skipped. Samples are found by ``cofm_id``, or
    by their content if the tasks have another source.

    Parameters
    ----------
    session : AnnotationSession

    tasks : str, path-like or list of dict
        The exported file, or its content.

    from_name : str, default="label"
        Name of the Choices in the labelling interface.

    overwrite : bool, default=False
        Whether labels replace others that the same annotator gave before, for example
        after a correction in Label Studio.

    Returns
    -------
    int
        Number of new labels.

    Raises
    ------
    ValueError
        If this is not an export of Label Studio, it has no Choices named `from_name`, a
        choice is not a class, several were chosen, or no sample is in the pool. Then
        nothing is imported.

    TypeError
        If `tasks` is neither a list nor a path.

    Warns
    -----
    UserWarning
        If labels are skipped, as in `AnnotationSession.import_labels`.
    """
    tasks = _dicts(_read(tasks), "tasks")
    by_text = session._answers.classes_by_text()
    labels = list(session.export().itertuples())
    known = {(row.id, row.label) for row in labels}
    # Whoever has a label here may have changed it, and then changed it back.
    spoke = {(row.id, row.annotator) for row in labels}
    ever_said = {(event.sample, event.label) for event in session.store.events()}
    fields = {"annotations", "annotation_id", from_name}
    if tasks and not any(fields & set(task) for task in tasks):
        raise ValueError(
            "tasks is not an export of Label Studio as JSON or JSON-MIN: no task has "
            f"'annotations' or {from_name!r}, the first has {list(tasks[0])}. Export "
            "old projects again with Label Studio 1.0 or later; for labels of other "
            "programs, pass a frame to import_labels."
        )
    said, found = [], 0
    for number, task in enumerate(tasks):
        data = task.get("data", task)
        for choices, name, mark in _choices(task, from_name, f"task {number}"):
            if not isinstance(data, dict) or not {"cofm_id", _TO, "text"} & set(data):
                raise ValueError(
                    f"The data of task {number} has neither 'cofm_id' nor {_TO!r} nor "
                    "'text'."
                )
            found += 1
            if not _is_one_of(by_text, choices):
                raise ValueError(
                    f"Task {number} has the choices {reprlib.repr(choices)}; it must "
                    f"be one of the classes {session.classes}."
                )
            sample = data.get("cofm_id")
            if not isinstance(sample, str | None):
                raise ValueError(
                    f"The cofm_id of task {number} must be str: {reprlib.repr(sample)}."
                )
            if sample is None:
                sample = session.id_of(data.get(_TO, data.get("text")))
            label = by_text[choices[0]]
            if mark == _mark(sample, choices[0]):
                unchanged = (sample, label) in known or (
                    (sample, json.dumps(label)) in ever_said
                )
            else:  # earlier versions did not record the label that they sent
                unchanged = mark == _mark(sample) and (sample, label) in known
            if not unchanged or (sample, name) in spoke:
                said.append((sample, label, name or session.annotator))
    names = {name for task in tasks for name in _names(task)}
    if names and not found:
        raise ValueError(
            f"No task has an answer of Choices named from_name={from_name!r}; the "
            f"names are {sorted(names)}."
        )
    return session.import_labels(said, overwrite=overwrite)


def _read(tasks):
    """Return the tasks of a file, or the given tasks."""
    if isinstance(tasks, list):
        return tasks
    if not isinstance(tasks, str | PathLike):
        raise TypeError(
            f"tasks must be a path or a list of dict, got {type(tasks).__name__}."
        )
    try:
        return json.loads(Path(tasks).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{str(tasks)!r} cannot be read as JSON: {error}") from error


def _dicts(values, what):
    """Return a list of dict, or raise an error."""
    if not isinstance(values, list) or not all(isinstance(v, dict) for v in values):
        raise ValueError(
            f"{what} must be a list of dict, as Label Studio exports it; got "
            f"{reprlib.repr(values)}."
        )
    return values


def _is_one_of(names, choices):
    """Tell whether exactly one of the names was chosen."""
    if not isinstance(choices, list) or len(choices) != 1:
        return False
    return isinstance(choices[0], str) and choices[0] in names


def _results(task, where):
    """Yield the valid annotations of a task, with each of their results."""
    for annotation in _dicts(task["annotations"], f"The annotations of {where}"):
        if not annotation.get("was_cancelled"):
            results = annotation.get("result")
            for result in _dicts(results, f"The results of {where}"):
                yield annotation, result


def _choices(task, from_name, where):
    """Yield the choices of each annotation, who made them, and the result's id."""
    if "annotations" not in task:  # JSON-MIN
        choice = task.get(from_name)
        # Without an answer, a field of this name belongs to the task itself.
        if choice is not None and task.get("annotation_id", "unknown") is not None:
            choices = choice.get("choices") if isinstance(choice, dict) else [choice]
            yield choices, _name(task.get("annotator")), None
        return
    for annotation, result in _results(task, where):
        if result.get("type") == "choices" and result.get("from_name") == from_name:
            value, who = result.get("value"), annotation.get("completed_by")
            choices = value.get("choices") if isinstance(value, dict) else value
            yield choices, _name(who), result.get("id")


def _names(task):
    """Return the names of fields with answers, or of candidates in JSON-MIN."""
    if "annotations" not in task:
        return [name for name in task if task.get("annotation_id") is not None]
    return [
        f"{result.get('from_name')} ({result.get('type')})"
        for _, result in _results(task, "a task")
    ]


def _name(who):
    """Name an annotator; Label Studio gives a number, or a dict with an e-mail."""
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    if who is not None and not isinstance(who, str | int):
        raise ValueError(f"An annotator must be a name or number: {reprlib.repr(who)}.")
    return None if who is None else f"label-studio:{who}"


def _data(session, sample, row):
    value = session.X.iloc[row] if hasattr(session.X, "iloc") else session.X[row]
    if not isinstance(value, str):
        if not hasattr(value, "__fspath__"):
            raise TypeError(
                "Label Studio shows texts, and images by path or URL; the pool of "
                f"this session has {type(value).__name__}. Open a session whose X has "
                "texts or paths, with a pipeline that encodes them."
            )
        value = str(value)
    return {_TO: value, "cofm_id": sample}


def _result(sample, label, mark):
    return {
        "id": mark,
        "from_name": _FROM,
        "to_name": _TO,
        "type": "choices",
        "value": {"choices": [str(label)]},
    }


def _mark(sample, label=None):
    """Return the id of results that this package sends; Label Studio keeps it."""
    mark = f"cofm-{sample[:10]}"
    if label is None:
        return mark
    digest = hashlib.blake2b(str(label).encode(), digest_size=4).hexdigest()
    return f"{mark}-{digest}"
