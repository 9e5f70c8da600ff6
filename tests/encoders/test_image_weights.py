import pickle

import pytest

from cofm_sklearn.encoders.image_weights import find_clip, load_clip

open_clip = pytest.importorskip("open_clip")
torch = pytest.importorskip("torch")


def load(folder, device="cpu"):
    source = find_clip(folder, None)
    return load_clip(source, source.fingerprint("fp32"), device, "fp32")


@pytest.mark.parametrize(
    ("model_name", "pretrained", "match"),
    [
        ("ViTB32", None, "model_name='ViTB32'.*Near matches: ViT-B-32,"),
        ("vit-l-14", None, "Near matches: ViT-L-14,"),
        ("qqqqqq", None, "Some matches: "),
        ("ViT-B-32", "laion2b", "pretrained='laion2b'.*Near matches: .*laion2b_s34b"),
        ("ViT-B-32", "no/such/file.pt", "neither a tag of ViT-B-32 nor a local file"),
        ("ViT-B-32", None, "pretrained must be given.*openai"),
    ],
)
def test_unknown_names_come_with_near_matches(model_name, pretrained, match):
    with pytest.raises(ValueError, match=match):
        find_clip(model_name, pretrained)


def test_a_checkpoint_instead_of_a_name_is_said_to_be_one(clip_folder):
    (file,) = clip_folder.glob("*.safetensors")
    with pytest.raises(ValueError, match=f"{file}.*set pretrained"):
        find_clip(file, None)


def test_tag_is_found_without_a_network():
    source = find_clip("ViT-B/32", "laion2b_s34b_b79k", download=False)
    assert (source.name, source.width, source.files) == ("ViT-B-32", 512, ())


def test_hub_without_a_network(offline_hub, clip_folder):
    snapshot = offline_hub("somebody/tiny", clip_folder)
    assert find_clip("hf-hub:somebody/tiny", None).folder == snapshot
    with pytest.raises(
        ValueError, match=r"model_name='hf-hub:no/such' could not be downloaded.*local"
    ):
        find_clip("hf-hub:no/such", None)


def test_folders_without_a_model(copy_clip, tmp_path):
    for folder in (
        tmp_path,
        copy_clip("*.json", name="no config"),
        copy_clip("*.safetensors", name="no weights"),
    ):
        with pytest.raises(
            ValueError, match=r"model_name=.*folder without an open_clip"
        ):
            find_clip(folder, None)
        with pytest.raises(
            ValueError, match=r"pretrained=.*folder without an open_clip"
        ):
            find_clip("ViT-B-32", folder)


def test_model_is_loaded_once_for_equal_folders(clip_folder, copy_clip):
    assert load(clip_folder) is load(copy_clip())


def test_fingerprint_is_of_the_content(clip_folder, copy_clip):
    folder = copy_clip()
    original = find_clip(clip_folder, None).fingerprint("fp32")
    assert find_clip(folder, None).fingerprint("fp32") == original
    assert find_clip(folder, None).fingerprint("bf16") != original
    config = folder / "open_clip_config.json"
    config.write_text(config.read_text().replace("0.25", "0.26"))
    assert find_clip(folder, None).fingerprint("fp32") != original


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("write", [torch.save, None], ids=["torch", "pickle"])
def test_pickled_code_is_never_run(copy_clip, write):
    folder = copy_clip("*.safetensors")
    checkpoint = folder / "open_clip_pytorch_model.bin"
    weights = {"state_dict": {"logit_scale": Bomb(folder / "was run")}}
    if write is None:
        checkpoint.write_bytes(pickle.dumps(weights))
    else:
        write(weights, checkpoint)
    with pytest.raises(ValueError, match="could not be loaded"):
        load(folder)
    assert not (folder / "was run").exists()


# Such archives are around, though torch would not make them any more.
@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_scripted_archive_is_refused(copy_clip):
    folder = copy_clip("*.safetensors")
    scripted = torch.jit.script(torch.nn.Linear(2, 2))
    torch.jit.save(scripted, folder / "open_clip_pytorch_model.bin")
    with pytest.raises(ValueError, match="could not be loaded"):
        load(folder)


def test_tensors_of_torch_are_read(clip_folder, copy_clip):
    from safetensors.torch import load_file

    folder = copy_clip("*.safetensors")
    weights = load_file(clip_folder / "open_clip_model.safetensors")
    torch.save(weights, folder / "open_clip_pytorch_model.bin")
    model = load(folder).model
    assert torch.equal(model.logit_scale, weights["logit_scale"])
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("n_bytes", [0, 1000, 100_000])
def test_truncated_weights(copy_clip, n_bytes):
    folder = copy_clip()
    weights = folder / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:n_bytes])
    with pytest.raises(ValueError, match="could not be loaded"):
        load(folder)


def test_weights_of_another_architecture(copy_clip):
    folder = copy_clip()
    config = folder / "open_clip_config.json"
    config.write_text(config.read_text().replace('"embed_dim": 16', '"embed_dim": 8'))
    with pytest.raises(ValueError, match="could not be loaded"):
        load(folder)


def test_broken_configuration(copy_clip):
    folder = copy_clip()
    (folder / "open_clip_config.json").write_text("{ this is not JSON")
    with pytest.raises(ValueError, match="not valid JSON"):
        load(folder)


def test_device_that_cannot_be_used(clip_folder):
    with pytest.raises(ValueError, match="device='cuda:99' cannot be used here"):
        load(clip_folder, "cuda:99")
