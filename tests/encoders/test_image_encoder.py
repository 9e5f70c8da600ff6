import copy
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.utils import get_tags

from cofm_sklearn import OpenCLIPEncoder

open_clip = pytest.importorskip("open_clip")
Image = pytest.importorskip("PIL.Image")

PROMPTS = ["a photo of a cat", "a dog", "", "a cat " * 30]


@pytest.fixture(scope="module")
def pixels():
    """Pictures larger than the model's input."""
    return np.random.RandomState(0).randint(0, 256, (7, 40, 48, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def by_hand(clip_folder, pixels):
    """Embeddings of the pictures and the prompts by open_clip alone."""
    import torch

    name = f"local-dir:{clip_folder}"
    model, preprocess = open_clip.create_model_from_pretrained(name)
    tokenize = open_clip.get_tokenizer(name)
    model.eval()
    with torch.no_grad():
        images = torch.stack([preprocess(Image.fromarray(a)) for a in pixels])
        return (
            model.encode_image(images, normalize=True).numpy(),
            model.encode_text(tokenize(PROMPTS), normalize=True).numpy(),
        )


@pytest.fixture
def encoder(clip_folder):
    encoder = OpenCLIPEncoder(clip_folder, device="cpu")
    encoder.clear_cache()
    return encoder


@pytest.fixture
def paths(pixels, tmp_path):
    found = [tmp_path / f"{i}.png" for i in range(len(pixels))]
    for path, picture in zip(found, pixels):
        Image.fromarray(picture).save(path)
    return found


KINDS = {
    "array": lambda pixels, paths: pixels,
    "list of arrays": lambda pixels, paths: list(pixels),
    "object array": lambda pixels, paths: as_objects(list(pixels)),
    "path objects": lambda pixels, paths: paths,
    "paths": lambda pixels, paths: [str(path) for path in paths],
    "array of paths": lambda pixels, paths: np.array([str(path) for path in paths]),
    "column of paths": lambda pixels, paths: np.array([[str(p)] for p in paths]),
    "PIL": lambda pixels, paths: [Image.fromarray(a) for a in pixels],
    "PIL from files": lambda pixels, paths: [Image.open(path) for path in paths],
    "Series": lambda pixels, paths: pd.Series(paths, index=range(9, 2, -1)),
    "frame": lambda pixels, paths: pd.DataFrame({"file": [str(p) for p in paths]}),
    "frame of images": lambda pixels, paths: pd.DataFrame({"image": list(pixels)}),
    "polars": lambda pixels, paths: pl.DataFrame({"file": [str(p) for p in paths]}),
    "mixed": lambda pixels, paths: [*paths[:2], Image.open(paths[2]), *pixels[3:]],
}


def as_objects(values):
    objects = np.empty(len(values), dtype=object)
    objects[:] = values
    return objects


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_workers", [0, 2])
def test_equals_open_clip_by_hand(encoder, by_hand, pixels, paths, kind, num_workers):
    encoder.set_params(num_workers=num_workers, batch_size=3, cache=False)
    X = KINDS[kind](pixels, paths)
    Z = encoder.fit(X).transform(X)
    assert Z.dtype == np.float32
    np.testing.assert_allclose(Z, by_hand[0], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(Z, axis=1), 1, atol=1e-6)


def test_grey_images_equal_open_clip_by_hand(encoder, pixels):
    grey = pixels[..., 0]
    rgb = np.repeat(grey[..., None], 3, axis=3)
    for X in (grey, grey[..., None]):
        np.testing.assert_array_equal(encoder.transform(X), encoder.transform(rgb))


def test_prompts_equal_open_clip_by_hand(encoder, by_hand):
    np.testing.assert_allclose(encoder.encode_prompts(PROMPTS), by_hand[1], atol=1e-5)


def test_checkpoint_file_of_an_architecture(
    clip_folder, by_hand, pixels, tmp_path, monkeypatch
):
    import json

    import torch
    from safetensors.torch import load_file

    config = json.loads((clip_folder / "open_clip_config.json").read_text())
    (tmp_path / "tiny-of-the-tests.json").write_text(json.dumps(config["model_cfg"]))
    monkeypatch.setattr(
        open_clip.factory, "_MODEL_CONFIGS", dict(open_clip.factory._MODEL_CONFIGS)
    )
    monkeypatch.setattr(
        open_clip.factory,
        "_MODEL_CONFIG_PATHS",
        [*open_clip.factory._MODEL_CONFIG_PATHS],
    )
    open_clip.add_model_config(tmp_path / "tiny-of-the-tests.json")
    weights = load_file(clip_folder / "open_clip_model.safetensors")
    torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "epoch_3.pt")
    encoder = OpenCLIPEncoder("tiny-of-the-tests", tmp_path / "epoch_3.pt")
    model, preprocess = open_clip.create_model_from_pretrained(
        "tiny-of-the-tests", str(tmp_path / "epoch_3.pt")
    )
    with torch.no_grad():
        images = torch.stack([preprocess(Image.fromarray(a)) for a in pixels])
        expected = model.eval().encode_image(images, normalize=True).numpy()
    np.testing.assert_allclose(encoder.transform(pixels), expected, atol=1e-5)
    assert encoder.get_feature_names_out().shape == (16,)


def test_folder_as_pretrained(clip_folder, encoder, pixels):
    other = OpenCLIPEncoder("ViT-B-32", str(clip_folder), device="cpu")
    np.testing.assert_array_equal(other.transform(pixels), encoder.transform(pixels))
    assert other.cache_info().embedded == len(pixels)


def test_normalize_false_gives_what_the_model_gives(encoder, pixels):
    Z = encoder.transform(pixels)
    raw = clone(encoder).set_params(normalize=False).transform(pixels)
    norms = np.linalg.norm(raw, axis=1, keepdims=True)
    assert np.abs(norms - 1).max() > 0.1
    np.testing.assert_allclose(raw / norms, Z, atol=1e-6)


def test_half_precision_is_near_and_cached_apart(encoder, pixels):
    Z = encoder.transform(pixels)
    half = clone(encoder).set_params(precision="bf16")
    rough = half.transform(pixels)
    assert 0 < np.abs(rough - Z).max() < 0.05
    assert rough.dtype == np.float32
    assert half.cache_info().embedded == len(pixels)
    np.testing.assert_array_equal(encoder.transform(pixels), Z)


def test_logit_scale_is_that_of_the_model(encoder, clip_folder):
    from safetensors.numpy import load_file

    weights = load_file(clip_folder / "open_clip_model.safetensors")
    assert encoder.logit_scale() == pytest.approx(np.exp(weights["logit_scale"]))


def test_each_image_is_embedded_once(encoder, pixels, paths):
    twice = np.concatenate([pixels, pixels[::-1]])
    Z = encoder.transform(twice)
    np.testing.assert_array_equal(Z[: len(pixels)], Z[len(pixels) :][::-1])
    assert encoder.cache_info().embedded == len(pixels)
    clone(encoder).transform([Image.fromarray(a) for a in pixels])
    copy.deepcopy(encoder).set_params(normalize=False).transform(pixels[2:])
    assert encoder.cache_info().embedded == len(pixels)
    for _ in range(2):  # files are known by their bytes
        encoder.transform(paths)
    assert encoder.cache_info().embedded == 2 * len(pixels)
    encoder.encode_prompts(PROMPTS)
    encoder.encode_prompts(PROMPTS[:1])
    assert encoder.cache_info().embedded == 2 * len(pixels) + len(PROMPTS)


def test_changed_file_is_embedded_anew(encoder, pixels, paths):
    Z = encoder.transform(paths)
    Image.fromarray(pixels[3]).save(paths[0])
    changed = encoder.transform(paths)
    np.testing.assert_array_equal(changed[0], changed[3])
    np.testing.assert_array_equal(changed[1:], Z[1:])


def test_text_and_image_never_share_a_row(encoder, pixels):
    content = f"pixels\0{pixels[0].shape}\0".encode() + pixels[0].tobytes()
    Z = encoder.transform(pixels[:1])
    text = encoder.encode_prompts([content.decode("latin-1")])
    assert np.abs(Z - text).max() > 0.01


def test_pickle_carries_the_name_and_no_weights(encoder, pixels):
    Z = encoder.transform(pixels)
    data = pickle.dumps(encoder)
    assert len(data) < 1000
    np.testing.assert_array_equal(pickle.loads(data).transform(pixels), Z)


OTHER_PROCESS = """
import pickle, sys
import numpy as np
from cofm_sklearn import OpenCLIPEncoder
encoder = OpenCLIPEncoder(sys.argv[1], cache_dir=sys.argv[2])
repr(encoder), encoder._repr_html_(), pickle.dumps(encoder), encoder.get_params()
paths = sys.argv[4:]
assert encoder.fit(paths).readable(paths).all()
np.save(sys.argv[3], encoder.transform(paths))
assert encoder.cache_info()[:3] == (len(paths), 0, 0), encoder.cache_info()
from cofm_sklearn.encoders import image_weights
assert not image_weights._LOADED
"""


@pytest.mark.slow
def test_next_process_loads_no_model_for_known_images(
    encoder, clip_folder, paths, tmp_path
):
    encoder.set_params(cache_dir=tmp_path / "cache")
    Z = encoder.transform(paths)
    result = tmp_path / "Z.npy"
    command = [sys.executable, "-c", OTHER_PROCESS, str(clip_folder)]
    command += [str(tmp_path / "cache"), str(result), *map(str, paths[::-1])]
    subprocess.run(command, check=True)
    np.testing.assert_array_equal(np.load(result), Z[::-1])


def test_feature_names_and_set_output(encoder, paths):
    names = [f"openclipencoder{i}" for i in range(16)]
    assert encoder.get_feature_names_out().tolist() == names
    assert encoder.cache_info().embedded == 0
    X = pd.DataFrame({"file": [str(p) for p in paths]}, index=range(5, 5 + len(paths)))
    frame = clone(encoder).set_output(transform="pandas").fit_transform(X)
    assert frame.columns.tolist() == names
    assert frame.index.equals(X.index)
    np.testing.assert_array_equal(frame.to_numpy(), encoder.transform(X))


def test_tags():
    tags = get_tags(OpenCLIPEncoder())
    assert tags.input_tags.string
    assert tags.input_tags.three_d_array
    assert not tags.input_tags.two_d_array
    assert not tags.requires_fit


def test_fit_changes_nothing_and_opens_no_file(encoder):
    before = dict(vars(encoder))
    assert encoder.fit(["no such file.png"], y=[1]) is encoder
    assert vars(encoder) == before


def test_progress_is_shown_on_request_only(encoder, pixels, capfd):
    encoder.transform(pixels[:3])
    assert capfd.readouterr() == ("", "")
    encoder.set_params(verbose=1).transform(pixels)
    assert "4/4" in capfd.readouterr().err


def break_some(paths):
    paths[1].write_bytes(paths[1].read_bytes()[:500])
    paths[4].unlink()
    paths[5].write_text("no image")


@pytest.mark.parametrize("num_workers", [0, 2])
def test_broken_files_are_named_and_found(encoder, by_hand, paths, num_workers):
    encoder.set_params(num_workers=num_workers)
    assert encoder.readable(paths).all()
    break_some(paths)
    with pytest.raises(ValueError, match=r"X\[4\] \('.*4\.png'\) cannot be read"):
        encoder.transform(paths)
    X = pd.Series([str(path) for path in paths])
    with pytest.warns(UserWarning, match=r"3 of 7 .*X\[1\].*X\[4\].*X\[5\]") as caught:
        keep = encoder.readable(X)
    assert len(caught) == 1
    assert keep.tolist() == [True, False, True, True, False, False, True]
    np.testing.assert_allclose(encoder.transform(X[keep]), by_hand[0][keep], atol=1e-5)


def test_truncated_file_gives_no_row(encoder, paths):
    paths[3].write_bytes(paths[3].read_bytes()[:500])
    with pytest.raises(ValueError, match=r"X\[3\] .* cannot be read"):
        encoder.set_params(batch_size=2).transform(paths)
    assert encoder.cache_info().n_items == 2  # of the batch before


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_bad_image_of_a_later_block_is_named_by_its_position(
    encoder, by_hand, pixels, paths, tmp_path, num_workers
):
    encoder.set_params(num_workers=num_workers, batch_size=2, cache=False)
    target = tmp_path / "pool.npy"
    # The first fails when it is identified, the second when the model needs it.
    floats = [*pixels[:5], pixels[5] * 3.0, pixels[6]]
    with pytest.raises(ValueError, match=r"^X\[5\] has floats"):
        encoder.transform_to_file(floats, target, block_size=2)
    content = paths[5].read_bytes()
    paths[5].write_bytes(content[:-50])
    with pytest.raises(ValueError, match=r"^X\[5\] .*5\.png.* cannot be read"):
        encoder.transform_to_file(paths, target, block_size=2)
    assert not target.exists()
    paths[5].write_bytes(content)
    Z = encoder.transform_to_file(paths, target, block_size=2)
    np.testing.assert_allclose(Z, by_hand[0], atol=1e-5)


def test_readable_knows_all_that_transform_refuses(encoder, pixels):
    X = [pixels[0], pixels[1] / 255, pixels[2].astype(float), pixels[3].astype(int)]
    with pytest.warns(UserWarning, match="2 of 4"):
        keep = encoder.readable(X)
    assert keep.tolist() == [True, True, False, False]
    small = clone(encoder).set_params(max_pixels=40 * 48 - 1)
    with pytest.warns(UserWarning, match="7 of 7 .* And 4 more"):
        assert not small.readable(pixels).any()
    with pytest.raises(ValueError, match=r"X\[0\] is too large"):
        small.transform(pixels)


@pytest.mark.parametrize("method", ["fit", "transform", "fit_transform", "readable"])
@pytest.mark.parametrize(
    ("X", "error", "match"),
    [
        ([], ValueError, r"0 sample\(s\)"),
        (np.zeros((0, 8, 8, 3), np.uint8), ValueError, r"0 sample\(s\)"),
        (np.eye(3), TypeError, r"X must be .* numbers of shape \(3, 3\)"),
        ([[1.0, 2.0]], TypeError, r"X\[0\] must be a path"),
        ("a.png", ValueError, "Wrap one image in a list"),
        (np.zeros((2, 8, 8, 5), np.uint8), ValueError, "channels last"),
        (np.zeros((2, 3, 8, 8), np.uint8), ValueError, "channels last"),
        ([np.zeros((8, 8, 2), np.uint8)], ValueError, r"X\[0\] is of shape"),
        (np.zeros((2, 0, 8, 3), np.uint8), ValueError, "no side of 0"),
        (["a.png", None], ValueError, r"X\[1\] is missing"),
        (["a.png", float("nan")], ValueError, r"X\[1\] is missing"),
        (["a.png", ""], ValueError, r"X\[1\] is an empty path"),
        (["a.png", 3], TypeError, r"X\[1\] must be a path"),
        ({"a.png": 1}, TypeError, "X must be"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), ValueError, "one column"),
    ],
)
def test_bad_images(method, X, error, match):
    with pytest.raises(error, match=match):
        getattr(OpenCLIPEncoder(), method)(X)


@pytest.mark.parametrize("method", ["fit", "transform", "readable"])
@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"model_name": None}, TypeError),
        ({"model_name": ""}, TypeError),
        ({"pretrained": 3}, TypeError),
        ({"device": 3}, TypeError),
        ({"precision": "int8"}, ValueError),
        ({"batch_size": 0}, ValueError),
        ({"num_workers": -1}, ValueError),
        ({"max_pixels": 0.5}, ValueError),
    ],
)
def test_bad_parameters(method, parameters, error, pixels):
    (name,) = parameters
    with pytest.raises(error, match=f"{name} must be"):
        getattr(OpenCLIPEncoder(**parameters), method)(pixels)


def test_bad_prompts_are_named_so(encoder):
    with pytest.raises(ValueError, match=r"texts\[0\] is missing"):
        encoder.encode_prompts([None])


def test_bad_device_is_found_before_embedding(encoder, pixels):
    with pytest.raises(ValueError, match="device='abacus'"):
        encoder.set_params(device="abacus").transform(pixels)
    assert encoder.cache_info().embedded == 0
