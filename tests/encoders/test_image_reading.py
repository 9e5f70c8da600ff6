"""Images of every type are decoded as a viewer would show them."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cofm_sklearn.encoders.image_reading import picture_key, read_rgb

Image = pytest.importorskip("PIL.Image")
LIMIT = 10_000


def read(picture, where="X[0]", max_pixels=LIMIT):
    image = read_rgb(picture, where, max_pixels)
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.fixture
def pixels():
    """A picture that has no symmetry."""
    return np.random.RandomState(0).randint(0, 256, (6, 9, 3)).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp"])
def test_lossless_files(pixels, tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(pixels).save(path, lossless=True)  # only WebP asks
    for given_as in (path, str(path), Image.open(path)):
        np.testing.assert_array_equal(read(given_as), pixels)


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: a[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda a: np.rot90(a)),
    ],
)
def test_orientation(pixels, tmp_path, orientation, turned):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path, exif=exif)
    np.testing.assert_array_equal(read(path), turned(pixels))
    np.testing.assert_array_equal(read(Image.open(path)), turned(pixels))


def test_grey_becomes_rgb(pixels):
    grey = pixels[..., 0]
    expected = np.repeat(grey[..., None], 3, axis=2)
    for picture in (grey, grey[..., None], Image.fromarray(grey)):
        np.testing.assert_array_equal(read(picture), expected)


def test_one_bit():
    image = Image.fromarray(np.array([[True, False]]))
    assert image.mode == "1"
    np.testing.assert_array_equal(read(image)[0, :, 0], [255, 0])


def test_transparent_parts_are_white(pixels):
    alpha = np.zeros((*pixels.shape[:2], 1), dtype=np.uint8)
    alpha[:3], alpha[3] = 255, 128
    rgba = np.concatenate([pixels, alpha], axis=2)
    share = alpha / 255
    expected = pixels * share + 255 * (1 - share)
    for picture in (rgba, Image.fromarray(rgba)):
        found = read(picture)
        np.testing.assert_allclose(found, expected, atol=1)
        np.testing.assert_array_equal(found[:3], pixels[:3])
        assert (found[4:] == 255).all()


def test_grey_with_transparency():
    image = Image.fromarray(np.array([[[10, 255], [10, 0]]], dtype=np.uint8), "LA")
    np.testing.assert_array_equal(read(image)[0, :, 1], [10, 255])


def test_palette_with_and_without_transparency(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([200, 10, 30, 5, 100, 7])
    image.putdata([0, 1])
    np.testing.assert_array_equal(read(image)[0], [[200, 10, 30], [5, 100, 7]])
    image.save(tmp_path / "a.png", transparency=1)
    np.testing.assert_array_equal(
        read(tmp_path / "a.png")[0], [[200, 10, 30], [255, 255, 255]]
    )


def test_16_bits_are_scaled_not_cut_off(tmp_path):
    deep = np.array([[0, 257, 30_000, 65_535]], dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    Image.fromarray(deep).save(tmp_path / "a.tiff")
    wide = Image.fromarray(deep.astype(np.int32))
    assert wide.mode == "I"
    for picture in (deep, tmp_path / "a.png", tmp_path / "a.tiff", wide):
        assert read(picture)[0, :, 0].tolist() == [0, 1, 117, 255]
    # The same mode is made of 8 bits.
    grey = np.array([[0, 7, 128, 255]], dtype=np.int32)
    assert read(Image.fromarray(grey))[0, :, 0].tolist() == [0, 7, 128, 255]
    assert read(Image.fromarray(grey.astype(np.uint8)).convert("I"))[0, 2, 0] == 128
    assert read(np.repeat(deep[..., None], 3, axis=2))[0, :, 2].tolist() == [
        0,
        1,
        117,
        255,
    ]


def test_floats_from_0_to_1():
    assert read(np.array([[0, 0.5, 1]]))[0, :, 0].tolist() == [0, 128, 255]


def test_cmyk_and_first_frame(tmp_path):
    assert read(Image.new("CMYK", (2, 2), (0, 255, 255, 0)))[0, 0].tolist() == [
        255,
        0,
        0,
    ]
    frames = [Image.new("RGB", (2, 2), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read(tmp_path / "a.gif")[0, 0].tolist() == [255, 0, 0]


def test_the_image_given_is_left_alone(pixels):
    image = Image.fromarray(pixels).convert("RGBA")
    read(image)
    assert image.mode == "RGBA"
    array = pixels.copy()
    read(array)
    np.testing.assert_array_equal(array, pixels)


def damaged_files(folder, pixels):
    """Yield files that no decoder can finish."""
    big = np.tile(pixels, (8, 8, 1))
    for suffix in ("jpg", "png", "gif", "bmp", "tiff", "webp"):
        path = folder / f"cut off.{suffix}"
        Image.fromarray(big).save(path)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        yield path
    for name, content in [("empty.png", b""), ("text.jpg", b"this is a text")]:
        (folder / name).write_bytes(content)
        yield folder / name
    yield folder / "missing.jpg"
    yield folder


def test_damaged_files_are_named(pixels, tmp_path):
    paths = list(damaged_files(tmp_path, pixels))
    assert len(paths) == 10
    for path in paths:
        with pytest.raises(ValueError, match=r"(?s)the file cannot be read.*readable"):
            read(path, where="the file")


@pytest.mark.parametrize("path", ["a\0b", "", "~no_such_user/a.png"])
def test_paths_that_can_be_none(path):
    with pytest.raises((ValueError, RuntimeError)):
        picture_key(path, "X[0]", LIMIT)


def test_huge_image_in_a_small_file_is_refused_unread(tmp_path):
    def chunk(kind, data):
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", 200_000, 200_000, 1, 0, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")
    )
    with pytest.raises(ValueError, match=r"X\[0\] is too large .*max_pixels=89478485"):
        read(path, max_pixels=89_478_485)


@pytest.mark.parametrize("kind", ["file", "PIL", "array"])
def test_limit_of_pixels(pixels, tmp_path, kind):
    picture = pixels if kind == "array" else Image.fromarray(pixels)
    if kind == "file":
        picture.save(tmp_path / "a.png")
        picture = tmp_path / "a.png"
    assert read(picture, max_pixels=54).shape == pixels.shape
    with pytest.raises(ValueError, match="9 x 6 pixels; max_pixels=53"):
        read(picture, max_pixels=53)


@pytest.mark.parametrize("low_high", [(-0.1, 1), (0, 255), (0, np.nan), (0, np.inf)])
def test_floats_out_of_range(low_high):
    with pytest.raises(ValueError, match=r"X\[0\] has floats from"):
        read(np.array([low_high], dtype=float))


@pytest.mark.parametrize("dtype", [bool, np.int64, complex])
def test_other_dtypes(dtype):
    for use in (read, lambda a: picture_key(a, "X[0]", LIMIT)):
        with pytest.raises(TypeError, match=r"X\[0\] has pixels of dtype"):
            use(np.zeros((2, 2), dtype=dtype))


def test_the_cure_for_a_mask_is_white_where_it_is_true():
    mask = np.array([[True, False]])
    with pytest.raises(TypeError, match=r"with X\.astype\(np\.uint8\) \* 255\.$"):
        read(mask)
    assert read(mask.astype(np.uint8) * 255)[0, :, 0].tolist() == [255, 0]
    with pytest.raises(TypeError, match=r"with X\.astype\(np\.uint8\)\.$"):
        read(mask.astype(np.int64) * 255)


images = arrays(
    np.uint8,
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.sampled_from([1, 3, 4])),
    elements=st.integers(0, 2),
)


@given(images, images)
def test_keys_are_equal_for_equal_images_only(a, b):
    same = a.shape == b.shape and (a == b).all()
    assert (picture_key(a, "a", LIMIT) == picture_key(b, "b", LIMIT)) == same


def test_file_is_known_by_its_content(pixels, tmp_path):
    paths = [Path(tmp_path) / name for name in ("a.png", "b.png")]
    for path in paths:
        Image.fromarray(pixels).save(path)
    keys = {picture_key(path, "X[0]", LIMIT) for path in [*paths, str(paths[0])]}
    assert len(keys) == 1
    Image.fromarray(pixels[::-1]).save(paths[0])
    assert picture_key(paths[0], "X[0]", LIMIT) not in keys


def test_pil_image_is_known_by_how_it_looks(pixels):
    image = Image.fromarray(pixels)
    key = picture_key(image, "X[0]", LIMIT)
    assert picture_key(image.copy(), "X[0]", LIMIT) == key
    assert picture_key(pixels, "X[0]", LIMIT) == key
    assert picture_key(image.rotate(180), "X[0]", LIMIT) != key


EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 10 10
%%EndComments
showpage
%%EOF
"""


@pytest.fixture
def ghostscript(tmp_path, monkeypatch):
    """A fake Ghostscript that records that it was started."""
    plugin = pytest.importorskip("PIL.EpsImagePlugin")
    mark = tmp_path / "was run"
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {str(mark)!r}\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(plugin, "gs_binary", None)
    yield
    assert not mark.exists()


@pytest.mark.skipif(os.name == "nt", reason="the program is a shell script")
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.eps", "a", "a.GIF", "a.tiff"])
def test_no_other_program_decodes_a_picture(ghostscript, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(EPS)
    with pytest.raises(ValueError, match="cannot be read as an image"):
        read_rgb(path, "X[0]", 1000)
    lazy = Image.open(path)
    for look in (read_rgb, picture_key):
        with pytest.raises(ValueError, match=r"X\[0\] has the format EPS"):
            look(lazy, "X[0]", 1000)
