"""Make a foundation model: contrastive pretraining of a small open_clip model.

Model hubs are not always reachable. So a model is trained here on one half of the
images, with captions of which a given share is wrong. The strength of this prior is
thus chosen, not found.
"""

import json
import math
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file
from tqdm.auto import tqdm

__all__ = ["RECIPES", "TEMPLATES", "Recipe", "pretrain", "wrong_captions"]

SIZE = 48
MODEL = {
    "embed_dim": 128,
    "vision_cfg": {
        "image_size": SIZE,
        "layers": [1, 1, 1, 1],
        "width": 24,
        "patch_size": None,
        "head_width": 32,
    },
    "text_cfg": {
        "context_length": 16,
        "vocab_size": 49408,
        "width": 64,
        "heads": 2,
        "layers": 1,
    },
}
PREPROCESS = {"mean": [0.5] * 3, "std": [0.25] * 3, "interpolation": "bicubic"}
TEMPLATES = (
    "a photo of a {}.",
    "a small photo of a {}.",
    "a blurry photo of the {}.",
    "one {} in the middle.",
    "{}",
)
# Maximal random shift of the training images, in pixels.
_SHIFT = 6


@dataclass(frozen=True)
class Recipe:
    """Settings that determine the quality of the model."""

    wrong: float  # share of captions that name another class
    epochs: int
    batch_size: int = 200
    learning_rate: float = 2e-3
    seed: int = 0


RECIPES = {
    "weak": Recipe(wrong=0.5, epochs=4),
    "best": Recipe(wrong=0.0, epochs=20),
}


def wrong_captions(y, n_classes, share, rng):
    """Replace the class in a share of the captions, uniformly by another one.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Classes 0, 1, ...

    n_classes : int
        Number of classes.

    share : float
        From 0 to 1; rounded to whole captions.

    rng : numpy.random.RandomState
        Draws the wrong captions.

    Returns
    -------
    ndarray of shape (n_samples,)
        The classes in the captions.
    """
    named = np.array(y, dtype=np.int64)
    chosen = rng.permutation(len(named))[: round(share * len(named))]
    named[chosen] += rng.randint(1, n_classes, size=len(chosen))
    return named % n_classes


def pretrain(images, y, class_names, recipe, folder, *, device="auto", quiet=False):
    """Train a model on images and captions, and save it for open_clip.

    Parameters
    ----------
    images : ndarray of shape (n_samples, height, width, 3), dtype uint8
        Images.

    y : ndarray of shape (n_samples,)
        Classes 0, 1, ...

    class_names : sequence of str
        Names of the classes in the captions.

    recipe : Recipe
        Settings of the training.

    folder : path-like
        Output folder, written completely or not at all. A folder with a model of the
        same recipe and number of images is kept.

    device : str, default="auto"
        A torch device; ``"auto"`` is cuda if available.

    quiet : bool, default=False
        Whether to hide the progress bar.

    Returns
    -------
    pathlib.Path
        The folder.

    References
    ----------
    Radford, A. et al. (2021). Learning Transferable Visual Models From Natural
    Language Supervision. ICML.
    """
    folder = Path(folder)
    about = {"recipe": asdict(recipe), "n_images": len(images)}
    config = {"model_cfg": MODEL, "preprocess_cfg": PREPROCESS, "made_by": about}
    written = folder / "open_clip_config.json"
    if written.exists() and json.loads(written.read_text()) == config:
        return folder
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    model = _train(images, np.asarray(y), class_names, recipe, device, quiet)
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    (fresh / written.name).write_text(json.dumps(config, indent=2))
    weights = {k: v.contiguous().cpu() for k, v in model.state_dict().items()}
    save_file(weights, fresh / "open_clip_model.safetensors")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return folder


def _train(images, y, class_names, recipe, device, quiet):
    rng = np.random.RandomState(recipe.seed)
    named = wrong_captions(y, len(class_names), recipe.wrong, rng)
    pixels = _scale(images)
    tokenize = open_clip.SimpleTokenizer(
        context_length=MODEL["text_cfg"]["context_length"]
    )
    captions = [t.format(name) for name in class_names for t in TEMPLATES]
    tokens = tokenize(captions).to(device)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model = open_clip.CLIP(**MODEL).train()
    # Faster on a CPU, and already the memory layout of the batches.
    model = model.to(device, memory_format=torch.channels_last)
    n_batches = len(pixels) // recipe.batch_size
    n_steps = recipe.epochs * n_batches
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=0.05
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=n_steps, pct_start=0.1
    )
    loss_of = open_clip.ClipLoss()
    with tqdm(total=n_steps, desc="Pretraining", unit="batch", disable=quiet) as bar:
        for _ in range(recipe.epochs):
            order = rng.permutation(len(pixels))
            for k in range(n_batches):
                rows = order[k * recipe.batch_size : (k + 1) * recipe.batch_size]
                batch = _augment(pixels[rows], rng)
                template = rng.randint(len(TEMPLATES), size=len(rows))
                caption = named[rows] * len(TEMPLATES) + template
                # Each caption goes through the text tower once.
                texts = model.encode_text(tokens, normalize=True)[caption]
                shown = model.encode_image(batch.to(device), normalize=True)
                loss = loss_of(shown, texts, model.logit_scale.exp())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                with torch.no_grad():
                    model.logit_scale.clamp_(0, math.log(100))
                bar.update()
                bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    return model.eval()


def _scale(images):
    """Resize images as in the model's preprocessing."""
    size = (SIZE, SIZE)
    return np.stack(
        [
            np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
            for image in images
        ]
    )


def _augment(pixels, rng):
    """Flip half of the images and shift all; return the model's input."""
    pixels = np.where(rng.rand(len(pixels), 1, 1, 1) < 0.5, pixels[:, :, ::-1], pixels)
    padded = np.pad(
        pixels, [(0, 0), (_SHIFT, _SHIFT), (_SHIFT, _SHIFT), (0, 0)], mode="reflect"
    )
    shifted = np.empty_like(pixels)
    offsets = rng.randint(0, 2 * _SHIFT + 1, size=(len(pixels), 2))
    for i, (down, right) in enumerate(offsets):
        shifted[i] = padded[i, down : down + SIZE, right : right + SIZE]
    batch = torch.from_numpy(shifted).permute(0, 3, 1, 2).float() / 255
    return (batch - PREPROCESS["mean"][0]) / PREPROCESS["std"][0]
