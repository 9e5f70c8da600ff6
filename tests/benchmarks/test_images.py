"""Image benchmark: a real, very short pretraining on a few images."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("open_clip")

from benchmarks.images import __main__ as command
from benchmarks.images import data
from benchmarks.images.pretrain import RECIPES, pretrain, wrong_captions
from benchmarks.savings.results import read

SHORT = replace(RECIPES["best"], epochs=3, batch_size=20)
NAMES = ("blue", "green", "red")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder with a small file of coloured images, shaped like CIFAR-10's."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.RandomState(0)
    y = np.tile(np.arange(3), 200)
    colors = np.array([(20, 30, 220), (30, 200, 40), (230, 20, 30)])
    image = colors[y][:, None, None] + rng.randint(-20, 20, (600, 32, 32, 3))
    np.savez(
        folder / "cifar10.npz",
        image=np.clip(image, 0, 255).astype(np.uint8),
        y=y.astype(np.int16),
        split=np.repeat(["train", "test"], 300),
        class_names=NAMES,
    )
    return folder


@pytest.mark.parametrize("share", [0, 0.3, 1])
def test_wrong_captions_are_the_share_asked_for(share):
    y = np.arange(500) % 10
    named = wrong_captions(y, 10, share, np.random.RandomState(0))
    assert np.mean(named != y) == share
    assert set(named) == set(range(10))


def test_pretraining_is_repeatable_and_done_once(folder, tmp_path):
    images, y, names = data.read_half(folder, "train")
    short = replace(SHORT, epochs=1)
    for name in ("a", "b"):
        pretrain(images[:60], y[:60], names, short, tmp_path / name, quiet=True)
    weights = [tmp_path / n / "open_clip_model.safetensors" for n in ("a", "b")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    before = weights[0].stat().st_mtime_ns
    pretrain(images[:60], y[:60], names, short, tmp_path / "a", quiet=True)
    assert weights[0].stat().st_mtime_ns == before
    other = replace(short, wrong=0.5)
    pretrain(images[:60], y[:60], names, other, tmp_path / "a", quiet=True)
    assert weights[0].read_bytes() != weights[1].read_bytes()


def test_halves_share_no_image(folder):
    train, _, _ = data.read_half(folder, "train")
    test, _, _ = data.read_half(folder, "test")
    assert len(train) == len(test) == 300
    assert not {a.tobytes() for a in train} & {a.tobytes() for a in test}


def test_command_pretrains_runs_and_reports(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(data.RECIPES, "best", SHORT)
    arguments = ["--data", str(folder), "--cache", str(tmp_path / "cache"), "--quiet"]
    arguments += ["--results", str(tmp_path / "images.csv"), "--prior", "best"]
    arguments += ["--seeds", "1", "--rounds", "2", "--noise", "0.2", "--jobs", "1"]
    arguments += ["--strategies", "co-decision", "random", "--bootstrap", "2"]
    assert command.main(arguments) == 0
    out = capsys.readouterr().out
    accuracy = float(out.split("zero-shot accuracy ")[1].split()[0])
    assert accuracy > 0.9  # colours are easy
    table = read(tmp_path / "images.csv")
    assert set(table["prior"]) == {"sentences", "shuffled"}
    ours = table[(table["strategy"] == "co-decision") & (table["prior"] == "sentences")]
    # The tail is one image long here: what counts is that models and labels meet.
    assert ours["fused_balanced_accuracy"].iloc[-1] > 0.5


def test_missing_file_is_named(tmp_path, capsys):
    arguments = ["--data", str(tmp_path), "--cache", str(tmp_path), "--prior", "weak"]
    assert command.main([*arguments, "--results", str(tmp_path / "r.csv")]) == 2
    assert "cifar10.npz is not there" in capsys.readouterr().err
