"""Report of a session: one HTML file with embedded images and no scripts."""

from collections import Counter
from datetime import UTC, datetime
from html import escape

from cofm_sklearn.annotation.learning import label_of
from cofm_sklearn.annotation.pool_map import drawn_map
from cofm_sklearn.annotation.showing import as_jpeg, as_text, shows_image

__all__ = ["report_html"]

_N_LISTED, _N_POINTS, _MAX_TEXT, _MAX_SIDE = 50, 2000, 300, 160
_COLORS = [
    *("#2f7fd0", "#d0762f", "#3a9a54", "#c23b4b", "#8a63c4"),
    *("#8c6d4f", "#d062a8", "#6f6f6f", "#a3a52c", "#2aa5b5"),
]
_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0; max-width: 100%; }
th, td { text-align: start; padding: .25rem .8rem .25rem 0; vertical-align: top;
  border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent);
  overflow-wrap: anywhere; }
td.n { text-align: end; font-variant-numeric: tabular-nums; }
pre { white-space: pre-wrap; margin: 0; font: inherit; }
img { max-width: 160px; max-height: 160px; }
svg { max-width: 100%; height: auto; }
.scroll { overflow-x: auto; }
i.dot { display: inline-block; width: .8em; height: .8em; border-radius: 50%; }
"""


def report_html(session, kind):
    """Return the report as text.

    Parameters
    ----------
    session : AnnotationSession

    kind : {"auto", "text", "image"}
        How to show samples.

    Returns
    -------
    str
    """
    history = session._answers.refresh()
    progress, score = session.progress(), session.check_score()
    taught = session._learn()
    measured = taught.learning.report(taught)
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'>",
        f"<title>Labels of {escape(now)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>Labelling report</h1><p>{escape(now)}. {progress.n_labels} of "
        f"{progress.n_pool} samples have a label; {progress.n_skipped} were skipped, "
        f"{progress.n_open} questions are open.</p>",
        _classes(session, taught.all_labels.tolist()),
        "<h2>Quality of the model</h2>",
        _score(measured, score),
        _map(session),
        _mended(session, history, kind),
        _open(session, history, kind),
        _changes(history),
        "</body></html>",
    ]
    return "\n".join(parts)


def _table(head, rows):
    if not rows:
        return "<p>None.</p>"
    cells = "".join(f"<th scope='col'>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return (
        f"<div class='scroll'><table><thead><tr>{cells}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(value):
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (
        f"<td class='n'>{value}</td>" if is_number else f"<td>{escape(str(value))}</td>"
    )


def _percent(value):
    return f"{100 * value:.1f} %"


def _interval(low, high):
    return f"{_percent(low)} to {_percent(high)}"


def _classes(session, labels):
    described, counts = session.descriptions, Counter(labels)
    rows = [
        [
            f"<td><i class='dot' style='background:{_COLORS[k % len(_COLORS)]}'></i> "
            f"{escape(str(name))}</td>",
            _cell(counts[name]),
            _cell(described.get(name, "")),
        ]
        for k, name in enumerate(session.classes)
    ]
    return _table(["Class", "Labels", "Description"], rows)


def _score(measured, score):
    lines = []
    if score is None:
        lines.append(
            "<p>There is no check set yet, so accuracy on the pool is unknown.</p>"
        )
    else:
        rows = [
            ("Accuracy", _percent(score.accuracy), score.accuracy_interval, score.n),
            (
                "Balanced accuracy",
                _percent(score.balanced_accuracy),
                score.balanced_accuracy_interval,
                score.n,
            ),
        ]
        for name, (recall, low, high, n) in score.recalls.items():
            shown = "unknown" if recall is None else _percent(recall)
            rows.append((f"Recall of {name}", shown, (low, high), n))
        lines.append(
            f"<p>On the check set: {score.n} samples drawn at random and not used in "
            "training. Intervals are at 95 %.</p>"
        )
        cells = [
            [_cell(a), _cell(b), _cell(_interval(*c)), _cell(d)] for a, b, c, d in rows
        ]
        lines.append(_table(["", "Found", "Interval", "Labels"], cells))
    if measured["accuracy"] is not None:
        lines.append(
            f"<p>Out of fold, on the {measured['n_labels']} training labels: "
            f"{_percent(measured['accuracy'])} "
            f"({_interval(*measured['interval'])}). The query strategy selects hard "
            "samples, so this is not the accuracy on the pool.</p>"
        )
    if measured["noise_rate"]:
        lines.append(
            f"<p>About {_percent(measured['noise_rate'])} of them are wrong.</p>"
        )
    return "\n".join(lines)


def _map(session):
    try:
        frame = session.pool_map()
    except ValueError:
        return ""
    n_given = frame["label"].notna().sum()
    code = {name: k for k, name in enumerate(session.classes)}
    points = []
    for one in drawn_map(frame, _N_POINTS).itertuples():
        has = one.label in code
        name = one.label if has else one.predicted
        k = code.get(name)
        color = "#999" if k is None else _COLORS[k % len(_COLORS)]
        style = "stroke='currentColor'" if has else "fill-opacity='.35'"
        points.append(
            f"<circle cx='{8 + 624 * one.x:.1f}' cy='{632 - 624 * one.y:.1f}' "
            f"r='{5 if has else 2.5}' fill='{color}' {style}>"
            f"<title>{'' if k is None else escape(str(name))}</title></circle>"
        )
    shared = " Some classes share a colour: point at a sample to see its class."
    return (
        "<h2>The pool</h2><p>Two principal components of the embeddings. Labelled "
        "samples have an outline; others have the colour of the predicted class."
        f"{shared if len(code) > len(_COLORS) else ''}</p>"
        "<svg viewBox='0 0 640 640' width='640' role='img' "
        f"aria-label='Map of the pool, {n_given} of {len(frame)} samples labelled'>"
        + "".join(points)
        + "</svg>"
    )


def _sample(session, sample, kind):
    row = session._rows.get(sample)
    if row is None:
        return _cell("(not in this pool)")
    X = session.X
    value = X.iloc[row] if hasattr(X, "iloc") else X[row]
    if shows_image(value, kind):
        try:
            return (
                f"<td><img alt='sample {row}' src='{as_jpeg(value, _MAX_SIDE)}'></td>"
            )
        except (ValueError, TypeError, OSError, ImportError) as error:
            return _cell(f"This image cannot be shown: {error}")
    text = as_text(value)
    text = text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]} …"
    return f"<td><pre dir='auto'>{escape(text)}</pre></td>"


def _mended(session, history, kind):
    mended, n_kept = history.corrections()
    rows = [
        [
            _sample(session, sample, kind),
            *(_cell(label_of(label)) for label in (old, event.label)),
            _cell(event.annotator),
        ]
        for sample, old, event in mended[-_N_LISTED:]
    ]
    return (
        f"<h2>Corrected labels</h2><p>{len(mended)} labels were corrected, and "
        f"{n_kept} were reviewed and kept.{_only(mended)}</p>"
    ) + _table(["Sample", "Was", "Is", "By"], rows)


def _open(session, history, kind):
    suspects = session.review(_N_LISTED)
    suspects = [one for one in suspects if one.label_quality < 0.5]
    rows = [
        [
            _sample(session, one.id, kind),
            _cell(one.label),
            _cell(_percent(one.label_quality)),
        ]
        for one in suspects
    ]
    aside = [[_sample(session, s, kind)] for s in list(history.skipped)[:_N_LISTED]]
    return (
        "<h2>Open issues</h2><h3>Labels that are more likely wrong than right</h3>"
        + _table(["Sample", "Label", "Probability right"], rows)
        + f"<h3>Skipped</h3><p>{_only(history.skipped)}</p>"
        + _table(["Sample"], aside)
    )


def _changes(history):
    if not history.changes:
        return ""
    rows = [
        [
            _cell(datetime.fromtimestamp(event.time, UTC).strftime("%Y-%m-%d %H:%M")),
            _cell(event.kind),
            _cell(", ".join(str(p) for p in label_of(event.label) if p is not None)),
            _cell(event.annotator),
        ]
        for event in history.changes
    ]
    return "<h2>Class changes</h2>" + _table(["When", "What", "", "By"], rows)


def _only(things):
    return f" {_N_LISTED} are listed." if len(things) > _N_LISTED else ""
