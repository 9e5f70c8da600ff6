"""Model folders that would run code, or refer to files outside."""

import json
import os
import shutil
import subprocess
import sys
from collections import OrderedDict

import pytest

from cofm_sklearn.encoders import image_weights
from cofm_sklearn.encoders.folders import folder_fingerprint, model_files
from cofm_sklearn.encoders.image_weights import find_clip, load_clip
from cofm_sklearn.encoders.weights import load_sentence_transformer

ST = "sentence_transformers.models"
CANARY = "canary_of_a_model"


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """An importable module that records its import."""
    mark = tmp_path / "was run"
    code = (
        f"open({str(mark)!r}, 'w')\nimport torch\n"
        "class Trap(torch.nn.Module):\n"
        "    load = classmethod(lambda cls, *a, **k: cls())"
    )
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / f"{CANARY}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path / "site")
    # Questions on the terminal are answered with yes.
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    yield code
    assert not mark.exists()
    assert CANARY not in sys.modules


def write(folder, name, content):
    path = folder / name
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def modules(*more):
    found = [("", "Transformer"), ("1_Pooling", "Pooling")]
    found = [(path, f"{ST}.{name}") for path, name in found] + list(more)
    return [
        {"idx": i, "name": str(i), "path": path, "type": kind}
        for i, (path, kind) in enumerate(found)
    ]


DENSE = {"in_features": 384, "out_features": 2, "bias": True}
CODE = f"{CANARY}.Trap"
AUTO = {"AutoConfig": f"{CANARY}.Trap", "AutoModel": f"{CANARY}.Trap"}
TEXT_VARIANTS = {
    "module": {"modules.json": modules(("2", CODE))},
    "module that looks like one": {
        "modules.json": modules(("2", "sentence_transformers.util.import_from_string"))
    },
    "function of a module": {
        "modules.json": modules(("2", f"{ST}.Dense.import_from_string"))
    },
    "whole model as a module": {
        "modules.json": modules(("n", "sentence_transformers.SentenceTransformer")),
        "n/modules.json": modules(("2", CODE)),
    },
    "activation": {
        "modules.json": modules(("2_Dense", f"{ST}.Dense")),
        "2_Dense/config.json": {**DENSE, "activation_function": CODE},
    },
    "nested activation": {
        "modules.json": modules(("a/b", f"{ST}.Dense")),
        "a/b/config.json": {**DENSE, "activation_function": CODE},
    },
    "activation of torch": {
        "modules.json": modules(("a/b", f"{ST}.Dense")),
        "a/b/config.json": {**DENSE, "activation_function": "torch.hub.load"},
    },
    "activation under another file name": {
        "modules.json": modules(("a/b/c", f"{ST}.Dense")),
        "a/b/c/dense_config.json": {**DENSE, "activation_function": CODE},
    },
    "router": {
        "modules.json": modules(("r", f"{ST}.Router")),
        "r/router_config.json": {"types": {"x": CODE}, "structure": {"q": ["x"]}},
    },
    "router of old": {
        "modules.json": modules(("r", f"{ST}.Asym")),
        "r/config.json": {"types": {"x": CODE}, "structure": {"q": ["x"]}},
    },
    "router in a router": {
        "modules.json": modules(("r", f"{ST}.Router")),
        "r/router_config.json": {"types": {"x": f"{ST}.Router"}},
        "r/x/router_config.json": {"types": {"y": CODE}},
    },
    "router that leaves": {
        "modules.json": modules(("r", f"{ST}.Router")),
        "r/router_config.json": {"types": {"../../out": f"{ST}.Dense"}},
    },
    "tokenizer of words": {
        "modules.json": modules(("w", f"{ST}.WordEmbeddings")),
        "w/wordembedding_config.json": {"tokenizer_class": CODE},
    },
    "auto_map": {"config.json": {"model_type": "unknown", "auto_map": AUTO}},
    "auto_map of a tokenizer": {
        "tokenizer_config.json": {"auto_map": {"AutoTokenizer": [CODE, None]}}
    },
    "auto_map deep inside": {
        "config.json": {"model_type": "x", "text_config": [{"auto_map": AUTO}]}
    },
    "auto_map of a nested transformer": {
        "modules.json": modules(("0_T", f"{ST}.Transformer")),
        "0_T/config.json": {"model_type": "unknown", "auto_map": AUTO},
    },
    "trust in a config": {
        "sentence_bert_config.json": {"model_args": {"trust_remote_code": True}}
    },
    "trust in an old config": {
        "sentence_roberta_config.json": {"tokenizer_args": {"trust_remote_code": 1.5}},
        "config.json": {"auto_map": AUTO},
    },
    "kernel": {
        "sentence_bert_config.json": {"model_args": {"attn_implementation": "x/y"}}
    },
    "tokenizer elsewhere": {
        "sentence_bert_config.json": {"tokenizer_name_or_path": "/tmp/elsewhere"}
    },
    "adapter": {"adapter_config.json": {"base_model_name_or_path": "/tmp/elsewhere"}},
    "part elsewhere": {"modules.json": modules(("/tmp/out", f"{ST}.Dense"))},
    "part above": {"modules.json": modules(("../out", f"{ST}.Dense"))},
    "modules that are none": {"modules.json": ["sentence_transformers.models.Dense"]},
}


def load_texts(folder):
    return load_sentence_transformer(
        folder, folder_fingerprint(folder), "cpu", model_name="mine"
    )


@pytest.mark.parametrize("files", TEXT_VARIANTS.values(), ids=TEXT_VARIANTS)
@pytest.mark.parametrize("linked", [False, True], ids=["plain", "linked"])
def test_text_model_with_code_is_refused(copy_model, trap, files, linked):
    folder = copy_model("model.safetensors")  # which is not even looked at
    for name, content in files.items():
        write(folder, name, content)
    for place in {"", *(os.path.dirname(name) for name in files)}:
        write(folder, os.path.join(place, f"{CANARY}.py"), trap)
    if linked:
        for part in [path for path in folder.iterdir() if path.is_dir()]:
            part.rename(folder.parent / part.name)
            part.symlink_to(folder.parent / part.name)
    with pytest.raises(
        ValueError, match=r"'mine'.*(custom code|not read|not a list|Merge)"
    ):
        load_texts(folder)


def test_own_parts_are_still_loaded(copy_model):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    folder = copy_model()
    write(folder, "modules.json", modules(("a/b", f"{ST}.Dense")))
    activation = "torch.nn.modules.activation.Tanh"
    write(folder, "a/b/config.json", {**DENSE, "activation_function": activation})
    weights = {"linear.weight": torch.ones(2, 384), "linear.bias": torch.zeros(2)}
    save_file(weights, folder / "a/b/model.safetensors")
    (folder / "vocabulary.json").write_text('{"auto_map": 7, "trust_remote_code": 8}')
    rows = load_texts(folder).encode(["a text"])
    assert rows.shape == (1, 2)
    assert abs(rows).max() <= 1


def test_pickled_weights_of_a_part_are_not_read(copy_model):
    torch = pytest.importorskip("torch")

    folder = copy_model()
    write(folder, "modules.json", modules(("2_Dense", f"{ST}.Dense")))
    write(
        folder,
        "2_Dense/config.json",
        {**DENSE, "activation_function": "torch.nn.modules.linear.Identity"},
    )
    weights = {"linear.weight": torch.ones(2, 384), "linear.bias": torch.zeros(2)}
    torch.save(weights, folder / "2_Dense" / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"(?s)'mine'.*safetensors"):
        load_texts(folder)


def test_all_that_is_loaded_is_in_the_fingerprint(copy_model, tmp_path):
    folder = copy_model("model.safetensors")
    plain = folder_fingerprint(folder)
    other = tmp_path / "pooling elsewhere"
    (folder / "1_Pooling").rename(other)
    (folder / "1_Pooling").symlink_to(other)
    assert folder_fingerprint(folder) == plain
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").unlink()
    config["pooling_mode_cls_token"] = True
    (other / "config.json").write_text(json.dumps(config))
    assert folder_fingerprint(folder) != plain


def test_links_in_a_circle_are_followed_once(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "config.json").write_text("{}")
    names = [path.as_posix() for path in model_files(tmp_path)]
    assert names == ["a/config.json", "b/config.json", "config.json"]


def test_json_that_is_too_deep(copy_model):
    folder = copy_model("model.safetensors")
    write(folder, "deep.json", "[" * 100_000)
    with pytest.raises(ValueError, match="not valid JSON"):
        load_texts(folder)


TOKENIZER = {"tokenizer_class": "Odd", "auto_map": {"AutoTokenizer": [CODE, CODE]}}
HF = {"hf_tokenizer_name": "mine"}
CLIP_VARIANTS = {
    "trusted tokenizer": (
        {**HF, "tokenizer_kwargs": {"trust_remote_code": True}},
        {"tokenizer_config.json": TOKENIZER},
    ),
    "tokenizer": (HF, {"tokenizer_config.json": TOKENIZER}),
    "tokenizer by config": (HF, {"config.json": {"auto_map": {"AutoTokenizer": CODE}}}),
    "nested tokenizer": (HF, {"a/b/tokenizer_config.json": TOKENIZER}),
    "kept tokenizer": (HF, {"config.json": {"x": [{"auto_map": AUTO}]}}),
    "unknown argument": ({"tokenizer_kwargs": {"vocab_file": "/etc/passwd"}}, {}),
    "argument for a folder": ({**HF, "tokenizer_kwargs": {"subfolder": ".."}}, {}),
    "revision": ({**HF, "tokenizer_kwargs": {"code_revision": "main"}}, {}),
    "text tower": (
        {"hf_model_name": "{folder}/tower"},
        {"tower/config.json": {"model_type": "unknown", "auto_map": AUTO}},
    ),
    "text tower by a link": (
        {"hf_model_name": "{folder}/link"},
        {"tower/config.json": {"model_type": "unknown", "auto_map": AUTO}},
    ),
    "auto_map in the configuration": ({"auto_map": AUTO}, {}),
    "no text tower": (None, {}),
}


@pytest.mark.parametrize(
    ("text", "files"), CLIP_VARIANTS.values(), ids=CLIP_VARIANTS.keys()
)
def test_image_model_with_code_is_refused(copy_clip, trap, text, files):
    pytest.importorskip("open_clip")
    folder = copy_clip()
    config = json.loads((folder / "open_clip_config.json").read_text())
    if text is None:
        config["model_cfg"]["text_cfg"] = None
    else:
        config["model_cfg"]["text_cfg"] |= {
            key: value.format(folder=folder) if isinstance(value, str) else value
            for key, value in text.items()
        }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    for name, content in files.items():
        write(folder, name, content)
    for place in {"", *(os.path.dirname(name) for name in files)}:
        write(folder, os.path.join(place, f"{CANARY}.py"), trap)
    (folder / "link").symlink_to(folder / "tower")
    with pytest.raises(ValueError, match=r"code|not used here|not read|no text_cfg"):
        load_images(folder).tokenizer()


def load_images(folder):
    source = find_clip(folder, None)
    return load_clip(source, source.fingerprint("fp32"), "cpu", "fp32")


def test_image_model_that_names_a_model_elsewhere(copy_clip):
    folder = copy_clip()
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["vision_cfg"]["timm_model_name"] = "hf-hub:somebody/else"
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"somebody/else.*not read"):
        find_clip(folder, None)


def test_tokenizer_of_a_folder_that_changed(copy_clip, monkeypatch):
    pytest.importorskip("open_clip")
    # Another test may have loaded the tokenizer of the same files.
    monkeypatch.setattr(image_weights, "_LOADED", OrderedDict())
    folder = copy_clip()
    loaded = load_images(folder)
    config = (folder / "open_clip_config.json").read_text()
    (folder / "open_clip_config.json").write_text(config.replace("0.25", "0.125"))
    with pytest.raises(ValueError, match="changed while they were read"):
        loaded.tokenizer()


@pytest.mark.slow
def test_nothing_is_asked_on_the_terminal(copy_model, tmp_path):
    """In a separate process that answers yes to all questions."""
    folder = copy_model()
    write(folder, "config.json", {"model_type": "unknown", "auto_map": AUTO})
    write(folder, f"{CANARY}.py", f"open({str(tmp_path / 'was run')!r}, 'w')")
    code = (
        "import sys; from cofm_sklearn import SentenceTransformerEncoder as E\n"
        "try: E(sys.argv[1]).transform(['a'])\n"
        "except ValueError as error: print(error)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        input="y\n" * 9,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "custom code" in answer.stdout, answer.stderr
    assert "[y/N]" not in answer.stdout + answer.stderr
    assert not (tmp_path / "was run").exists()
    shutil.rmtree(folder)


NOTHING_SENT = """
import sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        print("SENT", event, arguments, flush=True)
        raise OSError("nothing is sent")

sys.addaudithook(refuse)
from cofm_sklearn import SentenceTransformerEncoder, ZeroShotPrior
prior = ZeroShotPrior({"a": "a cat", "b": "a dog"}, SentenceTransformerEncoder())
print(prior.fit(["my cat", "your dog"]).predict(["my cat", "your dog"]))
"""


@pytest.mark.slow
def test_nothing_is_sent(minilm_folder):
    answer = subprocess.run(
        [sys.executable, "-c", NOTHING_SENT],
        env={k: v for k, v in os.environ.items() if k != "HF_HUB_OFFLINE"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "['a' 'b']" in answer.stdout, answer.stderr
    assert "SENT" not in answer.stdout


@pytest.mark.slow
def test_image_model_of_a_hub_with_code_is_refused(clip_folder, tmp_path):
    pytest.importorskip("open_clip")
    model = tmp_path / "hub" / "models--somebody--clip"
    snapshot = model / "snapshots" / ("0" * 40)
    shutil.copytree(clip_folder, snapshot)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("0" * 40)
    config = json.loads((snapshot / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"] |= {
        **HF,
        "tokenizer_kwargs": {"trust_remote_code": True},
    }
    write(snapshot, "open_clip_config.json", config)
    write(snapshot, "tokenizer_config.json", TOKENIZER)
    write(snapshot, f"{CANARY}.py", f"open({str(tmp_path / 'was run')!r}, 'w')")
    code = (
        "from cofm_sklearn import OpenCLIPEncoder as E\n"
        "try: E('hf-hub:somebody/clip').encode_prompts(['a'])\n"
        "except ValueError as error: print(error)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_CACHE": str(tmp_path / "hub"),
        },
        input="y\n" * 9,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "arguments of its tokenizer" in answer.stdout, answer.stderr
    assert not (tmp_path / "was run").exists()
