"""Read an image from any source, and identify it by its content."""

import struct
import zlib
from contextlib import ExitStack, contextmanager
from os import PathLike, fspath
from pathlib import Path

import numpy as np

from cofm_sklearn.encoders.cache import content_key
from cofm_sklearn.utils import import_optional

__all__ = [
    "MAX_PIXELS",
    "as_shown",
    "check_decoded",
    "open_picture",
    "picture_key",
    "picture_name",
    "read_rgb",
]

_DAMAGE = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError),
    *(struct.error, zlib.error),
)
#: Limit on the pixels of a picture that is only displayed or imported.
MAX_PIXELS = 2**28
# The content decides, not the suffix. PIL decodes these formats itself; others (EPS) it
# passes to external programs.
_FORMATS = (
    *("AVIF", "BMP", "DDS", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PCX"),
    *("PNG", "PPM", "QOI", "SGI", "TGA", "TIFF", "WEBP"),
)
_16_BIT_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_CURE = "Leave it out: `OpenCLIPEncoder.readable(X)` finds all such images."


def picture_name(picture, position, name="X"):
    """Name an image in errors: its position, and its path where it has one."""
    if isinstance(picture, str | PathLike):
        return f"{name}[{position}] ({fspath(picture)!r})"
    return f"{name}[{position}]"


def picture_key(picture, where, max_pixels):
    """Return the cache key of an image: a digest of its file or of its pixels.

    A file is identified by its bytes, so that a cached file need not be decoded. A PIL
    image in RGB and an array of the same pixels have the same key.

    Parameters
    ----------
    picture : str, path-like, PIL image or ndarray
        One image.

    where : str
        Name of the image, used in errors.

    max_pixels : int
        See `read_rgb`.

    Returns
    -------
    bytes of length 20

    Raises
    ------
    ValueError
        If a file cannot be read, or as in `read_rgb` for other images.

    Examples
    --------
    >>> import numpy as np
    >>> from PIL import Image
    >>> from cofm_sklearn.encoders.image_reading import picture_key
    >>> pixels = np.zeros((4, 4, 3), dtype=np.uint8)
    >>> key = picture_key(pixels, "X[0]", 100)
    >>> key == picture_key(Image.fromarray(pixels), "X[0]", 100)
    True
    """
    if isinstance(picture, str | PathLike):
        try:
            return content_key(b"file\0" + Path(picture).expanduser().read_bytes())
        except (OSError, ValueError) as error:
            raise ValueError(_unreadable(where, error)) from error
    if isinstance(picture, np.ndarray):
        _check_size(picture.shape[1], picture.shape[0], where, max_pixels)
        pixels = _as_8_bit(picture, where)
    else:
        pixels = np.asarray(read_rgb(picture, where, max_pixels))
    return content_key(f"pixels\0{pixels.shape}\0".encode() + pixels.tobytes())


def read_rgb(picture, where, max_pixels):
    """Return an image in 8-bit RGB, as a viewer would show it.

    The EXIF orientation is applied, transparent parts become white, 16 bits are scaled
    to 8 (PIL's mode ``"I"`` only if a pixel is above 255), and only the first frame is
    used.

    Parameters
    ----------
    picture : str, path-like, PIL image or ndarray
        A path, a PIL image, or an array of shape ``(height, width)`` or
        ``(height, width, 1|3|4)`` of uint8, uint16, or floats from 0 to 1.

    where : str
        Name of the image, used in errors.

    max_pixels : int
        Limit on the pixels to decode: small files can hold images that fill the memory.

    Returns
    -------
    PIL.Image.Image
        Of mode ``"RGB"``. The input image is not modified.

    Raises
    ------
    ValueError
        If a file is missing, truncated, not an image, or of a format that needs an
        external program (EPS), an image has more pixels than `max_pixels`, or floats
        are not from 0 to 1.

    TypeError
        If an array has another dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.encoders.image_reading import read_rgb
    >>> grey = np.array([[0, 65535]], dtype=np.uint16)
    >>> np.asarray(read_rgb(grey, "X[0]", 100))[..., 0]
    array([[  0, 255]], dtype=uint8)
    """
    pil = import_optional("PIL.Image", needed_by="OpenCLIPEncoder")
    if isinstance(picture, np.ndarray):
        _check_size(picture.shape[1], picture.shape[0], where, max_pixels)
        pixels = _as_8_bit(picture, where)
        is_grey = pixels.shape[2:] == (1,)
        return _to_rgb(pil.fromarray(pixels[..., 0] if is_grey else pixels))
    with ExitStack() as stack:
        image = picture
        if isinstance(picture, str | PathLike):
            path = Path(picture).expanduser()
            image = stack.enter_context(open_picture(path, where, max_pixels))
        check_decoded(image, where)
        width, height = image.size
        _check_size(width, height, where, max_pixels)
        with _naming_the_picture(where, max_pixels):
            return _to_rgb(image)


def open_picture(file, where, max_pixels):
    """Open a path or a binary file as a PIL image, without external programs.

    Raises
    ------
    ValueError
        As for `read_rgb`.
    """
    pil = import_optional("PIL.Image", needed_by="OpenCLIPEncoder")
    pil.init()
    with _naming_the_picture(where, max_pixels):
        # PIL raises an error for a format that this release lacks.
        return pil.open(file, formats=[name for name in _FORMATS if name in pil.OPEN])


def as_shown(image, where):
    """Return a PIL image with its palette, transparency and orientation applied.

    Raises
    ------
    ValueError
        As for `read_rgb`.
    """
    ops = import_optional("PIL.ImageOps", needed_by="OpenCLIPEncoder")
    check_decoded(image, where)
    with _naming_the_picture(where, MAX_PIXELS):
        image.load()
        image = ops.exif_transpose(image)
        if image.mode in ("P", "PA") or "transparency" in image.info:
            return image.convert("RGBA" if image.has_transparency_data else "RGB")
        return image


def check_decoded(image, where):
    """Reject a PIL image that is not decoded yet and has an unsupported format.

    Raises
    ------
    ValueError
        If reading its pixels might start another program.
    """
    if getattr(image, "tile", ()) and image.format not in _FORMATS:
        raise ValueError(
            f"{where} has the format {image.format}, which is not supported. Decode it "
            f"first, if you trust it: image.load(). Otherwise: {_CURE}"
        )


@contextmanager
def _naming_the_picture(where, max_pixels):
    """Turn any error of PIL and its decoders into a ValueError."""
    pil = import_optional("PIL.Image", needed_by="OpenCLIPEncoder")
    try:
        yield
    except (pil.DecompressionBombError, pil.DecompressionBombWarning) as error:
        raise ValueError(_too_large(where, error, max_pixels)) from error
    except _DAMAGE as error:
        raise ValueError(_unreadable(where, error)) from error


def _to_rgb(image):
    ops = import_optional("PIL.ImageOps", needed_by="OpenCLIPEncoder")
    pil = import_optional("PIL.Image", needed_by="OpenCLIPEncoder")
    image.load()
    image = ops.exif_transpose(image)
    if image.mode in _16_BIT_MODES:
        pixels = np.asarray(image)
        if image.mode == "I" and pixels.max() <= 255:
            # This mode also holds 8 bits, which scaling from 16 would turn black.
            return image.convert("RGB")
        # PIL's own conversion would cut off at 255.
        return pil.fromarray(_scale_16_bit(pixels)).convert("RGB")
    if image.mode == "F":
        raise OSError("pixels are floats; convert them to 8 bits")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = pil.new("RGBA", image.size, "white")
        return pil.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _as_8_bit(pixels, where):
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return _scale_16_bit(pixels)
    if pixels.dtype.kind != "f":
        # Without the factor, True would be as dark as False.
        factor = " * 255" if pixels.dtype.kind == "b" else ""
        raise TypeError(
            f"{where} has pixels of dtype {pixels.dtype}; they must be uint8, uint16, "
            f"or floats from 0 to 1. Convert them with X.astype(np.uint8){factor}."
        )
    # NaN fails this comparison, too.
    if not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError(
            f"{where} has floats from {pixels.min():.4g} to {pixels.max():.4g}; they "
            "must be from 0 to 1. Undo the scaling, or give uint8 from 0 to 255."
        )
    return np.rint(pixels * 255).astype(np.uint8)


def _scale_16_bit(pixels):
    return np.rint(np.clip(pixels, 0, 65535) / 257).astype(np.uint8)


def _check_size(width, height, where, max_pixels):
    if width * height > max_pixels:
        raise ValueError(_too_large(where, f"{width} x {height} pixels", max_pixels))


def _too_large(where, what, max_pixels):
    return (
        f"{where} is too large ({what}; max_pixels={max_pixels}). Raise max_pixels, "
        "and PIL.Image.MAX_IMAGE_PIXELS with it, if you trust the image. Otherwise: "
        f"{_CURE}"
    )


def _unreadable(where, error):
    return (
        f"{where} cannot be read as an image ({type(error).__name__}: {error}). {_CURE}"
    )
