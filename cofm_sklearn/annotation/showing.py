"""Render samples as text, or as images that any browser shows."""

import base64
import io
from os import PathLike

from cofm_sklearn.encoders.image_reading import MAX_PIXELS, read_rgb
from cofm_sklearn.utils import import_optional
from cofm_sklearn.utils.images import is_images

__all__ = ["as_jpeg", "as_text", "shows_image"]


def shows_image(sample, kind):
    """Tell whether to show a sample as an image; ``"auto"`` shows str as text."""
    return kind == "image" or (kind == "auto" and is_images([sample]))


def as_text(sample):
    """Return a sample as text; a row of a frame has one line per column."""
    if hasattr(sample, "items"):
        return "\n".join(f"{name}: {value}" for name, value in sample.items())
    return str(sample)


def as_jpeg(sample, max_side):
    """Return an image as a JPEG data URL.

    Raises
    ------
    ValueError, TypeError, OSError
        If the image cannot be read.

    ImportError
        If pillow is not installed.
    """
    where = str(sample) if isinstance(sample, str | PathLike) else "the image"
    image = read_rgb(sample, where, MAX_PIXELS)
    pil = import_optional("PIL.Image", needed_by="AnnotationWidget")
    if max(image.size) > max_side:
        image.thumbnail((max_side, max_side))
    elif max(image.size) < max_side // 4:
        # Tiny images are enlarged, with visible pixels.
        factor = max_side // 4 // max(image.size)
        size = (image.width * factor, image.height * factor)
        image = image.resize(size, pil.Resampling.NEAREST)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
