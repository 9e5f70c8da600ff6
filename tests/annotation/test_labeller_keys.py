"""The labeller by keyboard alone: its script in a real browser, its session here."""

import os
import shutil

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from benchmarks.labeller_page import LabellerPage, browser
from cofm_sklearn import CoDecisionClassifier, PrecomputedPrior
from cofm_sklearn.annotation import AnnotationSession, AnnotationWidget

pytest.importorskip("playwright")
if shutil.which("chromium") is None and "COFM_BROWSER" not in os.environ:
    # .ci/run installs it and says so: there its absence is an error.
    pytest.skip("chromium is not installed", allow_module_level=True)

BANKING = [
    "activate_my_card",
    "age_limit",
    "card_arrival",
    "card_lost",
    "cash_withdrawal_charge",
    "change_pin",
    "lost_or_stolen_card",
    "<b>pin</b>",
    "pin_blocked",
    "top_up_by_card",
    "top_up_failed",
    "topping_up_by_card",
]


@pytest.fixture(scope="module")
def new_page():
    with browser() as new_page:
        yield new_page


def in_order(learner, X_pool, n_instances=1):
    return np.arange(n_instances)


def session_of(classes, n=120, right=0.9, **parameters):
    """A pool whose prior is right for a share of the samples; and the truth."""
    rng = np.random.RandomState(0)
    truth = rng.randint(len(classes), size=n)
    said = np.where(rng.rand(n) < right, truth, rng.randint(len(classes), size=n))
    proba = 0.2 * rng.dirichlet(np.ones(len(classes)), size=n)
    proba[np.arange(n), said] += 0.8
    model = CoDecisionClassifier(
        LogisticRegression(), PrecomputedPrior(classes), neighbors=None, random_state=0
    )
    session = AnnotationSession(
        proba, model, classes=classes, background=False, **parameters
    )
    truth_of = {s: classes[k] for s, k in zip(session._ids, truth)}
    return session, truth_of


def labels_of(session):
    return session.export().set_index("id")["label"].to_dict()


def open_one(page):
    """Return the id of the sample shown, from the page."""
    return page.evaluate("() => document.querySelector('.cofm-sample').dataset.id")


def taken(page):
    return page.locator(".cofm-taken").inner_text()


def test_enter_and_space_accept_the_guess(new_page):
    classes = ["ham", "news", "spam"]
    with session_of(classes)[0] as session:
        page = LabellerPage(new_page(), AnnotationWidget(session))
        page.page.locator(".cofm-labeller").focus()
        for key in ("Enter", " "):
            one, guess = open_one(page.page), taken(page.page).split()[-1]
            page.press(key)
            assert labels_of(session)[one] == guess
        # A key that is held down labels once.
        page.page.keyboard.down("Enter")
        for _ in range(5):
            page.page.keyboard.down("Enter")
        page.page.keyboard.up("Enter")
        page.ready()
        assert len(labels_of(session)) == 3
        # On a button it presses the button, and nothing else.
        page.page.get_by_role("button", name="Skip").focus()
        page.press("Enter")
        assert len(labels_of(session)) == 3
        assert session.progress().n_skipped == 1


def test_without_a_guess_enter_labels_nothing(new_page):
    X = np.random.RandomState(0).normal(size=(30, 3))
    model = LogisticRegression()
    with AnnotationSession(
        X, model, in_order, classes=["a", "b"], background=False
    ) as session:
        page = LabellerPage(new_page(), AnnotationWidget(session))
        page.page.locator(".cofm-labeller").focus()
        page.press("Enter", " ")
        assert not labels_of(session)
        assert "no prediction" in page.page.locator(".cofm-status").inner_text()


def test_at_most_one_key_and_a_fifth_per_label_where_the_model_is_right(new_page):
    classes = ["a", "b", "c"]
    session, truth = session_of(classes)
    with session:
        page = LabellerPage(new_page(), AnnotationWidget(session))
        page.page.locator(".cofm-labeller").focus()
        n_keys = n_right = 0
        for _ in range(60):
            one = open_one(page.page)
            if taken(page.page).endswith(f" {truth[one]}"):
                keys, n_right = ["Enter"], n_right + 1
            else:
                keys = [str(classes.index(truth[one]) + 1)]
            page.press(*keys)
            n_keys += len(keys)
        found = labels_of(session)
        assert len(found) == 60
        assert found == {one: truth[one] for one in found}
        assert n_keys / 60 <= 1.2
        assert n_right > 30


def test_what_is_typed_finds_the_class_that_begins_so(new_page):
    classes = sorted(BANKING)
    cases = {
        "to": "top_up_by_card",  # and not lost_or_stolen_card
        "lo": "lost_or_stolen_card",
        "pin": "pin_blocked",  # not the one with the word inside
        "card": "card_arrival",
        "card_l": "card_lost",
        "1": classes[0],
        "12": classes[11],
        "10": classes[9],
        "STOLEN": "lost_or_stolen_card",
        "age_limit": "age_limit",
    }
    with session_of(classes)[0] as session:
        page = LabellerPage(new_page(), AnnotationWidget(session))
        page.page.locator(".cofm-labeller").focus()
        for n_before, (typed, expected) in enumerate(cases.items()):
            one = open_one(page.page)
            page.press(*typed)
            assert len(labels_of(session)) == n_before  # however exact
            assert taken(page.page) == f"Enter takes {expected}"
            shown = page.page.locator(".cofm-next").inner_text()
            assert shown.startswith(expected)
            page.press("Enter")
            assert labels_of(session)[one] == expected


def test_typing_nothing_known_labels_nothing_and_escape_goes_back(new_page):
    with session_of(sorted(BANKING))[0] as session:
        page = LabellerPage(new_page(), AnnotationWidget(session))
        page.page.locator(".cofm-labeller").focus()
        page.press("z", "z", "Enter")
        assert not labels_of(session)
        assert taken(page.page) == "No such class"
        page.press("Escape")
        assert taken(page.page).startswith("Enter accepts the prediction")
        page.press("t", "ArrowDown", "Enter")
        assert list(labels_of(session).values()) == ["top_up_failed"]
        page.press("Alt+u")
        assert not labels_of(session)
        page.press("Alt+s")
        assert session.progress().n_skipped == 1


def test_77_classes_without_a_mishit(new_page):
    rng = np.random.RandomState(1)
    words = ["card", "cash", "top", "transfer", "pin", "rate", "refund", "fee"]
    classes = sorted({f"{a}_{b}_{i}" for i in range(3) for a in words for b in words})
    classes = classes[:77]
    session, truth = session_of(classes, n=200, n_instances=30)
    with session:
        page = LabellerPage(new_page(), AnnotationWidget(session))
        page.page.locator(".cofm-labeller").focus()
        for i in range(24):
            wanted = truth[open_one(page.page)]
            name, number = wanted, str(classes.index(wanted) + 1)
            if i % 3 == 2 and taken(page.page).endswith(f" {wanted}"):
                page.press("Enter")
                continue
            for key in name if rng.rand() < 0.5 else number:
                page.press(key)
                if taken(page.page) == f"Enter takes {wanted}":
                    break
            page.press("Enter")
        found = labels_of(session)
        assert len(found) == 24
        assert found == {one: truth[one] for one in found}


def test_names_that_begin_with_digits_are_typed_as_they_are(new_page):
    classes = [str(n) for n in range(12)]
    with session_of(sorted(classes))[0] as session:
        page = LabellerPage(new_page(), AnnotationWidget(session))
        page.page.locator(".cofm-labeller").focus()
        page.press("1")
        assert taken(page.page) == "Enter takes 1"
        page.press("1", "Enter")
        assert list(labels_of(session).values()) == ["11"]


def test_what_is_kept_in_a_review_is_not_shown_again(new_page):
    session, truth = session_of(["a", "b"], check_share=0)
    with session:
        widget = AnnotationWidget(session)
        for one in session.ask(20):
            session.answer(one.id, truth[one.id])
        page = LabellerPage(new_page(), widget)
        page.page.locator(".cofm-labeller").focus()
        page.press("r")
        page.page.wait_for_selector(".cofm-reviewing")
        before = labels_of(session)
        kept = []
        for key in ("Enter", "s", "Enter"):
            kept.append(open_one(page.page))
            page.press(key)
        assert labels_of(session) == before
        assert not {one.id for one in session.review(20)} & set(kept)
        assert len(session.review(20)) == len(before) - 3
        # Undone, it is asked again.
        page.press("u")
        assert kept[-1] in {one.id for one in session.review(20)}
