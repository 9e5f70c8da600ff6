"""The check set: drawn at random, not used in training, and scored with intervals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression

from cofm_sklearn import AnnotationSession
from cofm_sklearn.annotation.check_set import draw_number, n_checks
from cofm_sklearn.loop.check_score import score_check_set

BLOBS, CODES = make_blobs([90, 60, 30], n_features=4, cluster_std=2.0, random_state=0)
NAMES = np.array(["alpha", "beta", "gamma"])
Y = NAMES[CODES]


def make_session(store=":memory:", X=BLOBS, **parameters):
    parameters = {"n_instances": 10, "check_share": 0.2, **parameters}
    return AnnotationSession(
        X, LogisticRegression(), store=store, classes=NAMES.tolist(), **parameters
    )


def label(session, n, truth=Y):
    ids = []
    while len(ids) < n:
        (question,) = session.ask()
        session.answer(question.id, truth[question.index])
        ids.append(question.id)
    return ids


def checks_of(session):
    return [e.sample for e in session.store.events() if e.kind == "check"]


def test_a_share_of_the_questions_is_drawn_and_never_learned_from():
    with make_session() as session:
        label(session, 60)
        checks = checks_of(session)
        assert len(checks) == 12
        taught = session._learn()
        assert len(taught.rows) == 48
        assert len(session.labeled) == 60
        trained = {session._ids[row] for row in taught.rows}
        assert not trained & set(checks)
        # Drawn is who has the lowest numbers in the pool, whatever was asked for.
        drawn = sorted(session._ids, key=lambda s: draw_number(s, 0))
        assert sorted(checks) == sorted(drawn[:12])
        assert session.progress().n_checks == 12
        assert session.progress().n_labels == 60
        expected = LogisticRegression().fit(BLOBS[taught.rows], Y[taught.rows])
        rows = [session._rows[s] for s in checks]
        score = session.check_score()
        assert score.n == 12
        assert score.accuracy == np.mean(expected.predict(BLOBS[rows]) == Y[rows])
        assert not {q.id for q in session.review(60)} & set(checks)


def test_its_questions_show_no_guess():
    with make_session(check_share=0.5) as session:
        label(session, 40)
        questions = session.ask(10)
        hidden = [q for q in questions if "at random" in q.reason]
        assert len(hidden) == 5
        assert all(q.proba is None and q.small_proba is None for q in hidden)
        assert all(q.proba is not None for q in questions if q not in hidden)


def test_without_a_share_nothing_is_drawn():
    with make_session(check_share=0) as session:
        label(session, 30)
        assert checks_of(session) == []
        assert session.check_score() is None
        assert session.progress().check is None
    for share in (-0.1, 0.6, None, "a"):
        with pytest.raises(ValueError, match="check_share must be a number"):
            make_session(check_share=share)


def test_the_whole_pool_is_asked_about_in_the_end():
    with make_session(X=BLOBS[:43]) as session:
        asked = []
        while questions := session.ask(3):
            session.answer([q.id for q in questions], Y[[q.index for q in questions]])
            asked += [q.index for q in questions]
        assert sorted(asked) == list(range(43))
        reserved = {i for i, s in enumerate(session._ids) if draw_number(s, 0) < 0.2}
        assert {session._rows[s] for s in checks_of(session)} == reserved


def test_released_labels_are_learned_from_and_another_set_begins(tmp_path):
    path = tmp_path / "s.sqlite"
    with make_session(path) as session:
        label(session, 40)
        assert session.release_check() == 8
        assert session.check_score() is None
        assert len(session._learn().rows) == 40
        assert session.release_check() == 0
        first = set(checks_of(session))
    with make_session(path) as session:  # it is in the file
        assert len(session._learn().rows) == 40
        label(session, 25)
        new = set(checks_of(session)) - first
        assert session.check_score().n == len(new) >= 4


def test_reopened_grown_and_salvaged_files_have_the_same_check_set(tmp_path):
    path = tmp_path / "s.sqlite"
    with make_session(path, X=BLOBS[:120]) as session:
        label(session, 40)
        before = session.check_score(), checks_of(session)
    with make_session(path, X=BLOBS[:120][::-1]) as session:
        assert (session.check_score(), checks_of(session)) == before
    with make_session(path) as session:  # a week later, with new rows
        assert session.check_score().n == 8
        label(session, 20)
        assert session.check_score().n == 12


def test_undone_and_corrected_answers_stay_in_the_check_set():
    with make_session(check_share=0.5) as session:
        while not checks_of(session):
            label(session, 1)
        (sample,) = checks_of(session)
        session.relabel(sample, "gamma")
        assert session.progress().n_checks == 1
        session.undo()
        session.undo()
        assert session.progress().n_checks == 0
        assert session.ask()[0].id == sample
        session.answer(sample, "beta")
        assert session.progress().n_checks == 1


def test_figures_are_those_of_the_last_answer():
    with make_session() as session:
        for n in (23, 31, 47):
            label(session, n - session.progress().n_labels)
            session.progress()
            session.wait()
            found = session.progress()
            session.wait()
            found = session.progress()
            assert found.n_labels == n
            assert found.n_measured == n - found.n_checks
            assert found.check == session.check_score()


def test_figures_say_how_many_labels_they_are_of_without_a_background():
    with make_session(background=False) as session:
        label(session, 35)
        found = session.progress()
        assert found.n_measured < 35
        assert found.check is None or found.check.n <= found.n_checks


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.integers(0, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
        min_size=2,
        max_size=6,
    )
)
def test_scores_by_their_definition(pairs):
    score = score_check_set([(k, right, n) for k, (right, n) in enumerate(pairs)])
    there = [(right, n) for right, n in pairs if n]
    if not there:
        assert score is None
        return
    n = sum(n for _, n in there)
    assert score.n == n
    assert score.accuracy == pytest.approx(sum(r for r, _ in there) / n)
    assert score.balanced_accuracy == pytest.approx(np.mean([r / n for r, n in there]))
    for (low, high), inside in [
        (score.accuracy_interval, score.accuracy),
        (score.balanced_accuracy_interval, score.balanced_accuracy),
    ]:
        assert 0 <= low < high <= 1
        assert low - 1e-9 <= inside <= high + 1e-9
    for k, (right, of) in enumerate(pairs):
        recall, low, high, count = score.recalls[k]
        assert count == of
        if of:
            assert low - 1e-9 <= recall == right / of <= high + 1e-9
        else:
            assert (recall, low, high) == (None, 0, 1)
    assert pairs[score.rarest][1] == min(n for _, n in there)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 50), st.integers(0, 50))
def test_batches_add_up_to_the_share(n_instances, n_batches, percent):
    share = percent / 100
    found = [n_checks(k * n_instances, n_instances, share) for k in range(n_batches)]
    assert sum(found) == int(n_batches * n_instances * share + 1e-6)
    assert all(0 <= n <= n_instances for n in found)


def test_numbers_are_drawn_evenly_and_by_seed():
    drawn = np.array([draw_number(f"{i:032x}", 0) for i in range(4000)])
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert abs((drawn < 0.1).mean() - 0.1) < 0.02
    other = np.array([draw_number(f"{i:032x}", 1) for i in range(4000)])
    assert abs(np.corrcoef(drawn, other)[0, 1]) < 0.05


@pytest.mark.parametrize("k", [1, 2, 4])
def test_intervals_of_balanced_accuracy_hold_what_they_should(k):
    """Compare with a slow simulation that draws recalls, then answers."""
    rng = np.random.RandomState(0)
    held = 0
    for _ in range(300):
        recalls = rng.uniform(0.3, 1, size=k)
        n = rng.randint(4, 20, size=k)
        right = rng.binomial(n, recalls)
        score = score_check_set(list(zip(range(k), right.tolist(), n.tolist())))
        low, high = score.balanced_accuracy_interval
        held += low <= recalls.mean() <= high
    assert held / 300 >= 0.91
