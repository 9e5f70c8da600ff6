"""Tiny models as priors, compared with direct calls of transformers."""

import json
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from cofm_sklearn import CoDecisionClassifier, TransformersPrior
from cofm_sklearn.encoders.cache import MEMORY

TEXTS = [
    "the striker scored twice",
    "shares fell",
    "a telescope has seen a galaxy far away from us",
    "",
    "the coach praised her goalkeeper " * 30,  # longer than the model reads
]
DESCRIPTIONS = {"sport": "sports news", "money": ["business", "the economy"]}
MOODS = {"bad": ["NEGATIVE", "ANGRY"], "good": "POSITIVE"}


def make_model(folder, labels):
    """Save a BERT with random weights, large enough for different answers."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    words = sorted(
        {
            word
            for text in [*TEXTS, "this is about sports news business economy not"]
            for word in text.split()
        }
    )
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ".", *words]
    ids = {word: i for i, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=32,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(ids),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
        initializer_range=1.0,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def nli(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a tiny nli model")
    return make_model(folder, ["contradiction", "neutral", "entailment"])


@pytest.fixture(scope="module")
def moods(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a tiny classifier")
    return make_model(folder, ["NEGATIVE", "POSITIVE", "ANGRY", "OTHER"])


def by_hand(folder, pairs):
    """Logits of the model, one input at a time."""
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    kind = transformers.AutoModelForSequenceClassification
    model = kind.from_pretrained(folder).eval()
    with torch.no_grad():
        return np.array(
            [
                model(**tokenizer(*pair, return_tensors="pt", truncation=how))
                .logits[0]
                .numpy()
                for pair in pairs
                for how in ["only_first" if len(pair) > 1 else True]
            ]
        )


def test_inference_equals_transformers_by_hand(nli):
    prior = TransformersPrior(DESCRIPTIONS, nli, batch_size=2, device="cpu").fit(TEXTS)
    assert_array_equal(prior.classes_, ["money", "sport"])
    asked = ["business", "the economy", "sports news"]
    pairs = [(text, f"This text is about {name}.") for text in TEXTS for name in asked]
    entailment = by_hand(nli, pairs)[:, 2].reshape(len(TEXTS), 3)
    scores = softmax(entailment, axis=1)
    wanted = np.column_stack([scores[:, :2].mean(axis=1), scores[:, 2]])
    wanted /= wanted.sum(axis=1, keepdims=True)
    proba = prior.predict_proba(TEXTS)
    assert_allclose(proba, wanted, atol=1e-5)
    assert np.ptp(proba[:, 0]) > 0.05
    other = clone(prior).set_params(hypothesis="{} it is not").fit()
    assert np.abs(other.predict_proba(TEXTS) - proba).max() > 1e-3


def test_inference_equals_the_pipeline(nli):
    import transformers

    names = {"sport": "sports news", "money": "business"}
    prior = TransformersPrior(names, nli, device="cpu").fit()
    pipeline = transformers.pipeline(
        "zero-shot-classification", model=str(nli), device="cpu"
    )
    template = "This text is about {}."
    texts = [text for text in TEXTS if text]
    for text, row in zip(texts, prior.predict_proba(texts)):
        said = pipeline(text, list(names.values()), hypothesis_template=template)
        scores = dict(zip(said["labels"], said["scores"]))
        assert_allclose(row, [scores["business"], scores["sports news"]], atol=1e-5)


def test_labels_are_mapped(moods):
    prior = TransformersPrior(
        MOODS, moods, task="text-classification", device="cpu"
    ).fit(TEXTS)
    scores = softmax(by_hand(moods, [(text,) for text in TEXTS]), axis=1)
    wanted = np.column_stack([scores[:, [0, 2]].sum(axis=1), scores[:, 1]])
    wanted /= wanted.sum(axis=1, keepdims=True)
    assert_allclose(prior.predict_proba(TEXTS), wanted, atol=1e-5)
    assert prior.description_rows(TEXTS) is None


def test_texts_go_through_the_model_once(nli, tmp_path, monkeypatch):
    MEMORY.__init__()  # or nothing would have to be computed
    prior = TransformersPrior(DESCRIPTIONS, nli, device="cpu", cache_dir=tmp_path)
    proba = prior.fit().predict_proba(TEXTS)
    MEMORY.__init__()  # as in another process
    loaded = pickle.loads(pickle.dumps(prior))

    def fail(*args, **kwargs):
        raise AssertionError("it is loaded again")

    monkeypatch.setattr("cofm_sklearn.priors.transformers_model.load_classifier", fail)
    assert_array_equal(loaded.predict_proba(TEXTS[::-1]), proba[::-1])
    assert len(pickle.dumps(prior)) < 2000
    with pytest.raises(AssertionError):
        clone(prior).set_params(hypothesis="{}!").fit().predict_proba(TEXTS)


def test_in_a_co_decision(nli):
    model = CoDecisionClassifier(
        make_pipeline(TfidfVectorizer(), LogisticRegression()),
        TransformersPrior(DESCRIPTIONS, nli, device="cpu"),
    )
    model.fit(TEXTS[:2], ["sport", "money"])
    assert model.predict(TEXTS).shape == (5,)
    assert_array_equal(model.classes_, ["money", "sport"])
    rows = model.prior_.description_rows(TEXTS)
    assert_array_equal(rows, ["business", "sports news"])


def test_without_the_layer_that_classifies_it_is_refused(nli, tmp_path):
    """transformers would initialize a missing layer at random."""
    import safetensors.torch

    for path in nli.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = safetensors.torch.load_file(nli / "model.safetensors")
    weights = {k: v for k, v in weights.items() if "classifier" not in k}
    safetensors.torch.save_file(
        weights, tmp_path / "model.safetensors", metadata={"format": "pt"}
    )
    with pytest.raises(ValueError, match=r"lacks classifier\.bias"):
        TransformersPrior(DESCRIPTIONS, tmp_path).fit().predict_proba(TEXTS)


def test_code_of_a_model_is_refused(nli, tmp_path):
    for path in nli.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config["auto_map"] = {"AutoModelForSequenceClassification": "x.Model"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="custom code"):
        TransformersPrior(DESCRIPTIONS, tmp_path).fit().predict_proba(TEXTS)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"class_descriptions": {"a": "x"}}, ValueError, "2 classes"),
        ({"class_descriptions": {"a": "x", "b": "x"}}, ValueError, "repeat"),
        ({"model_name": 3}, TypeError, "model_name"),
        ({"model_name": "no/such-model"}, ValueError, "not a local folder"),
        ({"task": "guess"}, ValueError, "task must be one of"),
        ({"task": "text-classification"}, ValueError, "no label 'business'"),
        ({"hypothesis": "about it"}, ValueError, "hypothesis"),
        ({"hypothesis": "{} {"}, ValueError, "hypothesis"),
        ({"hypothesis": None}, ValueError, "hypothesis"),
        ({"revision": 3}, TypeError, "revision"),
        ({"device": None}, TypeError, "device"),
        ({"batch_size": 0}, ValueError, "batch_size"),
    ],
)
def test_bad_parameters_are_named(nli, monkeypatch, options, error, message):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    options = {"class_descriptions": DESCRIPTIONS, "model_name": nli, **options}
    with pytest.raises(error, match=message):
        TransformersPrior(**options).fit(TEXTS)


def test_a_model_without_inference_is_refused(moods):
    with pytest.raises(ValueError, match="no entailment"):
        TransformersPrior(DESCRIPTIONS, moods).fit(TEXTS)


def test_bad_samples_are_named(nli):
    prior = TransformersPrior(DESCRIPTIONS, nli)
    with pytest.raises(NotFittedError):
        prior.predict_proba(TEXTS)
    for X, error in ((np.eye(3), TypeError), ([None, "a"], ValueError)):
        with pytest.raises(error):
            clone(prior).fit(X)
        with pytest.raises(error):
            clone(prior).fit().predict_proba(X)
