import copy
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from cofm_sklearn import SentenceTransformerEncoder
from cofm_sklearn.encoders.folders import folder_fingerprint
from cofm_sklearn.encoders.weights import load_sentence_transformer

TEXTS = [
    "I want my money back",
    "please refund the order",
    "",
    "what a lovely day",
    "l'été à Malmö 😀",
    "a text that is a good deal longer than the others in this list, " * 3,
    "what a lovely day",
    "word " * 400,
]


@pytest.fixture(scope="module")
def by_hand(minilm_folder):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(minilm_folder), device="cpu")
    return model.encode(TEXTS, normalize_embeddings=True)


@pytest.fixture
def encoder():
    encoder = SentenceTransformerEncoder(device="cpu")
    encoder.clear_cache()
    return encoder


@pytest.mark.parametrize(("batch_size", "cache"), [(3, True), (64, False)])
def test_equals_sentence_transformers_by_hand(by_hand, batch_size, cache):
    encoder = SentenceTransformerEncoder(
        device="cpu", batch_size=batch_size, cache=cache
    )
    encoder.clear_cache()
    for Z in (encoder.transform(TEXTS), encoder.fit_transform(TEXTS)):
        assert Z.dtype == np.float32
        np.testing.assert_allclose(Z, by_hand, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(Z, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(encoder.encode_prompts(TEXTS), by_hand, atol=1e-5)


def test_calls_of_many_blocks_keep_the_order(encoder, monkeypatch):
    monkeypatch.setattr("cofm_sklearn.encoders.text._BLOCK", 16)
    texts = [f"number {i} " + "and more " * (i * 7 % 5) for i in range(30)]
    Z = encoder.set_params(batch_size=5).transform(texts)
    some = [0, 1, 15, 29]
    one_by_one = SentenceTransformerEncoder(device="cpu", cache=False)
    np.testing.assert_allclose(
        Z[some], [one_by_one.transform([texts[i]])[0] for i in some], atol=1e-5
    )


def test_equal_texts_get_equal_vectors(encoder):
    Z = encoder.set_params(cache=False, batch_size=2).transform(TEXTS)
    np.testing.assert_array_equal(Z[3], Z[6])
    assert encoder.cache_info().embedded == len(set(TEXTS))


def test_each_text_is_embedded_once(encoder):
    encoder.transform(TEXTS)
    clone(encoder).transform(TEXTS[::-1])
    encoder.encode_prompts(TEXTS[:2])
    copy.deepcopy(encoder).set_params(normalize=False).transform(TEXTS[3:])
    info = encoder.cache_info()
    distinct = len(set(TEXTS))
    assert info.embedded == info.misses == info.n_items == distinct
    assert info.bytes == distinct * 384 * 4
    encoder.transform(["a new text", TEXTS[0]])
    assert encoder.cache_info().embedded == distinct + 1


def test_reordered_pool_gets_reordered_rows(encoder):
    Z = encoder.transform(TEXTS)
    order = np.random.default_rng(0).permutation(len(TEXTS))
    reordered = encoder.transform(np.array(TEXTS, dtype=object)[order])
    np.testing.assert_array_equal(reordered, Z[order])


def test_caller_cannot_spoil_the_cache(encoder):
    Z = encoder.transform(TEXTS)
    expected = Z.copy()
    Z[:] = 0
    np.testing.assert_array_equal(encoder.transform(TEXTS), expected)


def test_grid_search_embeds_the_pool_once(encoder):
    pool = [f"refund number {i}" for i in range(12)] + [f"day {i}" for i in range(12)]
    search = GridSearchCV(
        make_pipeline(encoder, LogisticRegression()),
        {"logisticregression__C": [0.1, 1, 10]},
        cv=3,
    )
    search.fit(pool, np.repeat([0, 1], 12))
    assert search.best_score_ == 1
    assert encoder.cache_info().embedded == 24


def test_copy_of_the_model_in_a_local_folder_shares_the_cache(encoder, copy_model):
    Z = encoder.transform(TEXTS)
    local = SentenceTransformerEncoder(copy_model(), device="cpu")
    np.testing.assert_array_equal(local.transform(TEXTS), Z)
    assert local.cache_info().embedded == len(set(TEXTS))


def test_changed_model_never_gets_rows_of_the_old_one(encoder, copy_model):
    folder = copy_model("sentence_bert_config.json")
    Z = encoder.transform(TEXTS)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 8}')
    changed = SentenceTransformerEncoder(str(folder), device="cpu").transform(TEXTS)
    np.testing.assert_allclose(changed[3], Z[3], atol=1e-5)
    assert np.abs(changed[5] - Z[5]).max() > 0.01


def test_normalize_false_gives_what_the_model_gives(copy_model, minilm_folder):
    modules = (minilm_folder / "modules.json").read_text()
    cut = modules.rindex(",\n  {")
    folder = copy_model("modules.json")
    (folder / "modules.json").write_text(modules[:cut] + "\n]")
    plain = SentenceTransformerEncoder(folder, device="cpu", normalize=False)
    Z = plain.transform(TEXTS)
    norms = np.linalg.norm(Z, axis=1, keepdims=True)
    assert np.abs(norms - 1).max() > 0.1
    unit = clone(plain).set_params(normalize=True).transform(TEXTS)
    np.testing.assert_allclose(unit, Z / norms, atol=1e-6)


def test_pickle_carries_the_name_and_no_weights(encoder):
    Z = encoder.transform(TEXTS)
    data = pickle.dumps(encoder)
    assert len(data) < 1000
    np.testing.assert_array_equal(pickle.loads(data).transform(TEXTS), Z)


def embed_in_worker(encoder, texts):
    return encoder.transform(texts), encoder.cache_info().embedded


@pytest.mark.slow
def test_loky_worker(encoder):
    Z = encoder.transform(TEXTS)
    (remote, embedded), *_ = joblib.Parallel(n_jobs=2, backend="loky")(
        [joblib.delayed(embed_in_worker)(encoder, TEXTS)]
    )
    np.testing.assert_allclose(remote, Z, atol=1e-5)
    assert embedded == len(set(TEXTS))  # the worker has loaded and used the model


OTHER_PROCESS = """
import pickle, sys
import numpy as np
from sklearn.base import clone
from cofm_sklearn import SentenceTransformerEncoder
encoder = clone(SentenceTransformerEncoder(cache_dir=sys.argv[1]))
repr(encoder), encoder._repr_html_(), pickle.dumps(encoder), encoder.get_params()
encoder.fit(["a text", "another"])
Z = encoder.transform(["another", "a text"])
np.save(sys.argv[2], Z)
encoder.get_feature_names_out()
assert encoder.cache_info()[:3] == (2, 0, 0), encoder.cache_info()
assert not {"torch", "transformers", "sentence_transformers"} & set(sys.modules)
"""


@pytest.mark.slow
def test_next_process_needs_no_model_for_known_texts(encoder, tmp_path):
    encoder.set_params(cache_dir=tmp_path)
    Z = encoder.transform(["a text", "another"])
    result = tmp_path / "Z.npy"
    command = [sys.executable, "-c", OTHER_PROCESS, str(tmp_path), str(result)]
    subprocess.run(command, check=True)
    np.testing.assert_array_equal(np.load(result), Z[::-1])


def test_damaged_cache_file(encoder, tmp_path):
    Z = encoder.set_params(cache=False, cache_dir=tmp_path).transform(TEXTS)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.warns(UserWarning, match=r"is damaged .* renamed"):
        again = encoder.transform(TEXTS)
    np.testing.assert_allclose(again, Z, atol=1e-6)
    assert len(list(tmp_path.iterdir())) == 2
    assert encoder.cache_info().embedded == 2 * len(set(TEXTS))
    encoder.transform(TEXTS)
    assert encoder.cache_info().embedded == 2 * len(set(TEXTS))


def test_feature_names_and_set_output(encoder):
    names = [f"sentencetransformerencoder{i}" for i in range(384)]
    assert encoder.get_feature_names_out().tolist() == names
    assert encoder.cache_info().embedded == 0
    encoder.transform(TEXTS)
    assert encoder.get_feature_names_out().tolist() == names
    X = pd.DataFrame({"text": TEXTS}, index=range(10, 10 + len(TEXTS)))
    frame = clone(encoder).set_output(transform="pandas").fit_transform(X)
    assert frame.columns.tolist() == names
    assert frame.index.equals(X.index)
    np.testing.assert_array_equal(frame.to_numpy(), encoder.transform(X))
    frame = clone(encoder).set_output(transform="polars").transform(TEXTS)
    assert isinstance(frame, pl.DataFrame)
    assert frame.columns == names


def test_clone_and_params():
    encoder = SentenceTransformerEncoder("m", batch_size=7, cache_dir="d", verbose=1)
    twin = clone(encoder)
    assert twin.get_params() == encoder.get_params()
    assert repr(twin) == repr(encoder)
    assert "batch_size=7" in repr(encoder)
    assert vars(encoder.set_params(device="cpu")) == {**vars(twin), "device": "cpu"}


def test_tags():
    tags = get_tags(SentenceTransformerEncoder())
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    assert not tags.requires_fit


def test_fit_changes_nothing(encoder):
    before = dict(vars(encoder))
    assert encoder.fit(TEXTS, y=[1] * len(TEXTS)) is encoder
    assert vars(encoder) == before


@pytest.mark.parametrize("method", ["fit", "transform", "fit_transform"])
@pytest.mark.parametrize(
    ("X", "error", "match"),
    [
        (["a", None], ValueError, r"X\[1\] is missing"),
        (["a", 3], TypeError, r"X\[1\] must be a str"),
        (np.eye(2), TypeError, "X must be"),
        ("one text", ValueError, "Wrap one text in a list"),
        ([], ValueError, r"0 sample\(s\)"),
    ],
)
def test_bad_texts(method, X, error, match):
    with pytest.raises(error, match=match):
        getattr(SentenceTransformerEncoder(), method)(X)


def test_bad_prompts_are_named_so():
    with pytest.raises(ValueError, match=r"texts\[0\] is missing"):
        SentenceTransformerEncoder().encode_prompts([None])


@pytest.mark.parametrize("method", ["fit", "transform", "encode_prompts"])
@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"model_name": None}, TypeError),
        ({"model_name": ""}, TypeError),
        ({"device": 3}, TypeError),
        ({"revision": 1}, TypeError),
        ({"batch_size": 0}, ValueError),
        ({"batch_size": 2.5}, ValueError),
    ],
)
def test_bad_parameters(method, parameters, error):
    (name,) = parameters
    with pytest.raises(error, match=f"{name} must be"):
        getattr(SentenceTransformerEncoder(**parameters), method)(["a"])


def test_bad_device_is_found_before_embedding(encoder):
    with pytest.raises(ValueError, match="device='abacus'"):
        encoder.set_params(device="abacus").transform(["a"])
    assert encoder.cache_info().embedded == 0


def test_values_that_are_not_finite_are_refused(copy_model, minilm_folder):
    from safetensors.numpy import load_file, save_file

    weights = load_file(minilm_folder / "model.safetensors")
    weights["embeddings.LayerNorm.weight"][0] = np.nan
    folder = copy_model("model.safetensors")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    encoder = SentenceTransformerEncoder(folder, device="cpu")
    with pytest.raises(ValueError, match="not finite"):
        encoder.transform(TEXTS)
    assert encoder.cache_info().n_items == 0


def test_progress_is_shown_on_request_only(encoder, copy_model, capfd):
    folder = copy_model("sentence_bert_config.json")
    for length, verbose in ((31, 0), (32, 1)):  # a model that is not loaded yet
        text = f'{{"max_seq_length": {length}}}'
        (folder / "sentence_bert_config.json").write_text(text)
        SentenceTransformerEncoder(folder, device="cpu", verbose=verbose).transform(
            TEXTS
        )
        out, err = capfd.readouterr()
        assert out == ""
        assert bool(err) == bool(verbose)
    assert f"{len(set(TEXTS))}/{len(set(TEXTS))}" in err


def test_loading_leaves_the_progress_setting_alone(copy_model):
    from transformers.utils import logging

    folder = copy_model()
    (folder / "not loaded yet.json").write_text("{}")
    before = logging.is_progress_bar_enabled()
    load_sentence_transformer(folder, folder_fingerprint(folder), "cpu", model_name="m")
    assert logging.is_progress_bar_enabled() == before
