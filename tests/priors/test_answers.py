"""What an answer of a language model means: codes, names and tokens."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from cofm_sklearn import LanguageModelPrior
from cofm_sklearn.encoders.cache import MEMORY
from cofm_sklearn.priors.answers import Questionnaire, token_proba


@pytest.fixture
def answer_to(proxy):
    """Ask once about classes with these labels, in this order; return their votes."""

    def answer_to(labels, fault, **options):
        MEMORY.__init__()
        proxy.faults = [fault]
        described = {label: f"number {k}" for k, label in enumerate(labels)}
        prior = LanguageModelPrior(
            described, "tiny", base_url=proxy.base_url, n_votes=1, **options
        ).fit()
        row = prior.predict_proba(["text"])[0]
        proba = dict(zip(prior.classes_.tolist(), row))
        return np.array([proba[label] for label in labels])

    return answer_to


@pytest.mark.parametrize(
    ("labels", "words", "k"),
    [
        *(([-1, 1], words, k) for words, k in (("-1", 0), ("1", 1), ("+1", None))),
        (["👍", "👎"], "👍", 0),
        (["👍", "👎"], "👎\n", 1),
        (["👍", "👎"], "", None),
        (["👍", "👎"], "...", None),
        (["C", "C++", "Java", "Python"], "C++", 1),
        (["C", "C++", "Java", "Python"], "c", 0),
        (["C", "C++", "Java", "Python"], "**C**", None),
        (["C", "C++", "Java", "Python"], "**Java**", 2),
        (["C", "C++", "Java", "Python"], "3", 2),
        (["C", "C++", "Java", "Python"], "2: C++", 1),
        (["US", "us"], "US", 0),
        (["US", "us"], " us", 1),
        (["US", "us"], "Us", None),
        (["B", "C"], "B", 0),
        (["B", "C"], "1", 0),
        (["A", "B"], "b", 1),
        (["A or C", "B", "C"], "A or C", 0),
        (["A or C", "B", "C"], "A", 0),
        (["B or C", "B", "C"], "B", 1),
        (["not_spam", "spam"], "A: not_spam", 0),
        (["not_spam", "spam"], "B: spam: number 1", 1),
        (["not_spam", "spam"], "B\n\nIt is about A.", 1),
        (["not_spam", "spam"], "B or A\n\nB", None),
        ([f"c{i:02}" for i in range(30)], "3", 2),
        ([f"c{i:02}" for i in range(30)], "30", 29),
        ([f"c{i:02}" for i in range(30)], "0", None),
    ],
)
def test_names_that_look_alike_are_told_apart(answer_to, labels, words, k):
    row = answer_to(labels, ("says", words))
    n = len(labels)
    wanted = np.full(n, 1 / n) if k is None else np.eye(n)[k] / 2 + 1 / n / 2
    assert_allclose(row, wanted)
    if k is not None:
        stated = json.dumps({"class": words, "confidence": 90})
        row = answer_to(labels, ("says", stated), probabilities="stated")
        assert_allclose(row[k], 0.9, rtol=1e-6)


@pytest.mark.parametrize(
    ("labels", "codes"),
    [
        (["ham", "spam"], ["A", "B"]),
        (["A", "B"], ["A", "B"]),
        (["A", "a"], ["1", "2"]),
        (["B", "C"], ["1", "2"]),
        (["C++", "Go", "Java"], ["1", "2", "3"]),
        (["2", "A cat", "a dog"], ["01", "02", "03"]),
        ([-1, 1], ["A", "B"]),
        ([f"c{k}" for k in range(30)], [f"{k:02}" for k in range(1, 31)]),
        (list(range(1, 31)), [f"{k:02}" for k in range(1, 31)]),
        (list(range(30)), [f"{k:03}" for k in range(1, 31)]),
    ],
    ids=str,
)
def test_no_code_is_the_name_of_another_class(labels, codes):
    assert Questionnaire(labels, [["x"]] * len(labels)).codes == codes


@pytest.mark.parametrize(
    ("labels", "listed", "wanted"),
    [
        # The name of the first class begins like the code of the second.
        (["B-movie", "comedy"], [{"B": 0.9, "2": 0.1}, {"-movie": 1}], [0.75, 0.25]),
        (["Bees", "comedy"], [{"B": 0.9, "A": 0.1}, {"ees": 1}], [0.75, 0.25]),
        (["C", "C++", "Go"], [{"C": 0.9, "3": 0.1}, {"++": 1}], [1 / 6, 4 / 6, 1 / 6]),
        (["C", "C++", "Go"], [{"C": 0.9, "3": 0.1}], [4 / 6, 1 / 6, 1 / 6]),
        (["C", "C++", "Go"], [{"3": 0.9, "1": 0.1}], [0.1, 0, 0.9]),
        (["A", "B"], [{"B": 0.9, "A": 0.1}], [0.1, 0.9]),
        (["ham", "spam"], [{"spam": 0.9, "A": 0.1}], [0.25, 0.75]),
        (["ham", "spam"], [{"b": 0.7, "A": 0.3}], [0.25, 0.75]),
        (["ham", "spam"], [{"**": 0.6, "A": 0.2}, {"B": 1}, {"**": 1}], [0.25, 0.75]),
        (
            ["ham", "spam"],
            [
                {"A": 0.6, "B": 0.4},
                {" spam?": 1},
                {"</think>": 1},
                {"A": 0.9, "B": 0.1},
            ],
            [0.9, 0.1],
        ),
    ],
)
def test_tokens_of_names_are_not_those_of_codes(answer_to, labels, listed, wanted):
    def say(answer):
        content = [
            {
                "token": next(iter(at)),
                "logprob": np.log(next(iter(at.values()))),
                "top_logprobs": [
                    {"token": t, "logprob": np.log(p)} for t, p in at.items()
                ],
            }
            for at in listed
        ]
        (choice,) = answer["choices"]
        choice["message"]["content"] = "".join(next(iter(at)) for at in listed)
        choice["logprobs"] = {"content": content}

    assert_allclose(answer_to(labels, say), wanted, atol=0.001)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ('{"class": "B", "confidence": 80}', [0.1, 0.8, 0.1]),
        ('```json\n{"class": "news", "confidence": "80"}\n```', [0.1, 0.8, 0.1]),
        ('{"class": "A", "confidence": 100}', [0.99, 0.005, 0.005]),
        ('{"class": "A", "confidence": 5}', [1 / 3] * 3),
        ('{"class": "D", "confidence": 80}', [1 / 3] * 3),
        ('{"class": "B", "confidence": 0.8}', [0.1, 0.8, 0.1]),
        ('{"class": "A", "confidence": 1.0}', [0.99, 0.005, 0.005]),
        ('{"class": "B", "confidence": "80 %"}', [0.1, 0.8, 0.1]),
        ('{"class": "B", "confidence": "0.8%"}', [1 / 3] * 3),
        # A class without a usable number is a vote.
        ('{"class": "B", "confidence": 180}', [1 / 6, 2 / 3, 1 / 6]),
        ('{"class": "B", "confidence": NaN}', [1 / 6, 2 / 3, 1 / 6]),
        ('{"class": "B", "confidence": "high"}', [1 / 6, 2 / 3, 1 / 6]),
        ('{"class": "B"}', [1 / 6, 2 / 3, 1 / 6]),
        ("B", [1 / 3] * 3),
    ],
)
def test_stated_confidence(answer_to, proxy, words, wanted):
    labels = ["ham", "news", "spam"]
    row = answer_to(labels, ("says", words), probabilities="stated")
    assert_allclose(row, wanted, rtol=1e-6)
    assert len(proxy.seen) == 1
    assert "confidence" in proxy.seen[0]["messages"][0]["content"]


def tokens(*positions):
    """Tokens as in an answer: for each position, the chosen token first."""
    made = []
    for listed in positions:
        one = [SimpleNamespace(token=t, logprob=np.log(p)) for t, p in listed.items()]
        made.append(
            SimpleNamespace(
                token=one[0].token, logprob=one[0].logprob, top_logprobs=one
            )
        )
    return made


@pytest.mark.parametrize(
    ("listed", "wanted"),
    [
        ([{"A": 0.6, "B": 0.3, "x": 0.1}], [0.6, 0.3, 0]),
        ([{"A": 0.5, " A": 0.2, " B": 0.1}], [0.7, 0.1, 0]),
        # White space before the code: the others go on from where they stand.
        ([{"\n": 0.5, "B": 0.2}, {"C": 0.8, "A": 0.2}], [0.1, 0.2, 0.4]),
        ([{"**": 0.9, "A": 0.1}, {"B": 1.0}], [0.1, 0.9, 0]),
    ],
)
def test_token_probabilities_of_letters(listed, wanted):
    k = np.argmax(wanted)
    wanted = 0.999 * np.array(wanted) / np.sum(wanted) + 0.001 / 3
    assert_allclose(token_proba(tokens(*listed), list("ABC"), k), wanted)
    assert token_proba(tokens(*listed), list("ABC"), (k + 1) % 3) is None


def test_token_probabilities_of_numbers():
    """Codes of two tokens: only the chosen first one tells about the second."""
    codes = [f"{k:02}" for k in range(1, 31)]
    proba = token_proba(
        tokens({"1": 0.6, "0": 0.3, "3": 0.1}, {"2": 0.5, "7": 0.5}), codes, 11
    )
    wanted = np.zeros(30)
    wanted[[11, 16]] = 0.3
    wanted[:9] = 0.3 / 9
    wanted[29] = 0.1
    assert_allclose(proba, 0.999 * wanted + 0.001 / 30)
    assert token_proba(tokens({"x": 1.0}), codes, 11) is None
