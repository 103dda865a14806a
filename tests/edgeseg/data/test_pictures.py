from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from edgeseg.data.base import BadFileError
from edgeseg.data.pictures import read_picture, read_stored

ANY_TMP = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)


def picture(height: int = 24, width: int = 40) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def encoded(suffix: str) -> bytes:
    return bytes(cv2.imencode(suffix, picture())[1])


def gray_png(values: npt.NDArray[np.uint8], depth: int) -> bytes:
    """Write a grey PNG of 1, 2 or 4 bits a pixel by hand."""
    rows = b""
    for row in values:
        bits = "".join(f"{value:0{depth}b}" for value in row)
        bits += "0" * (-len(bits) % 8)
        rows += b"\0" + bytes(int(bits[k : k + 8], 2) for k in range(0, len(bits), 8))

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], depth, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


# --- pictures ---


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_a_lossless_picture_is_read_to_the_pixel(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encoded(suffix))
    assert np.array_equal(read_picture(path), picture())


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "I;16"])
def test_every_kind_of_picture_becomes_three_channels_of_8_bits(mode: str, tmp_path: Path) -> None:
    gray = picture()[..., 0]
    source = Image.fromarray(gray.astype(np.uint16) * 256) if mode == "I;16" else Image.fromarray(gray).convert(mode)
    image = read_picture(save(tmp_path / "a.png", source))
    assert image.shape == (24, 40, 3)
    assert image.dtype == np.uint8
    expected = gray if mode == "I;16" else np.asarray(source.convert("L"))
    assert np.array_equal(image[..., 0], expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright_as_its_exif_says(orientation: int, tmp_path: Path) -> None:
    source = Image.fromarray(cv2.GaussianBlur(picture(), (0, 0), 4))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.jpg", source, exif=exif, quality=95)
    with Image.open(path) as stored:
        upright = np.asarray(ImageOps.exif_transpose(stored))
    image = read_picture(path)
    assert image.shape == upright.shape
    assert np.abs(image[..., ::-1].astype(int) - upright).max() <= 3  # two JPEG decoders round differently


@ANY_TMP
@given(share=st.floats(0, 1, exclude_max=True), padded=st.booleans(), suffix=st.sampled_from([".jpg", ".png"]))
def test_a_picture_cut_anywhere_is_refused(tmp_path: Path, share: float, padded: bool, suffix: str) -> None:
    data = encoded(suffix)
    cut = data[: int(share * (len(data) - 2))]
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(cut + bytes(len(data) - len(cut)) if padded else cut)
    with pytest.raises(BadFileError, match=r"cut\.(jpg|png): (truncated|damaged|cannot be decoded|the file is empty)"):
        read_picture(path)


def test_a_jpeg_with_a_preview_in_its_header_is_still_seen_to_be_truncated(tmp_path: Path) -> None:
    preview = io.BytesIO()
    Image.fromarray(picture(8, 8)).save(preview, "JPEG")
    body = b"Exif\0\0" + preview.getvalue()
    data = encoded(".jpg")
    whole = data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]
    path = tmp_path / "a.jpg"
    path.write_bytes(whole)
    assert read_picture(path).shape == (24, 40, 3)
    path.write_bytes(whole[:-200])
    with pytest.raises(BadFileError, match="truncated"):
        read_picture(path)


@pytest.mark.parametrize("progressive", [False, True])
@given(film=st.binary(max_size=4000))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_film_behind_a_photograph_does_no_harm(tmp_path: Path, progressive: bool, film: bytes) -> None:
    plain = io.BytesIO()
    Image.fromarray(picture(40, 24)).save(plain, "JPEG", progressive=progressive, restart_marker_blocks=2)
    path = tmp_path / "a.jpg"
    path.write_bytes(plain.getvalue() + film + b"\xff\xda\0\2")
    assert read_picture(path).shape == (24, 40, 3) or read_picture(path).shape == (40, 24, 3)
    path.write_bytes(plain.getvalue()[:-2])
    with pytest.raises(BadFileError, match="truncated"):
        read_picture(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_bytes_after_the_end_do_no_harm(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encoded(suffix) + b"made by a camera")
    assert read_picture(path).shape == (24, 40, 3)


@pytest.mark.parametrize("content", [b"this is no picture", b"\xff\xd8\xff\xda\0\2\xff\xd9", bytes(500)])
def test_what_is_no_picture_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(BadFileError, match=r"a\.jpg: cannot be decoded"):
        read_picture(path)


def test_a_file_that_cannot_be_read_is_named_with_the_systems_reason(tmp_path: Path) -> None:
    with pytest.raises(BadFileError, match=r"gone\.png: cannot be read: No such file"):
        read_picture(tmp_path / "gone.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(BadFileError, match=r"folder\.png: cannot be read: Is a directory"):
        read_picture(tmp_path / "folder.png")


# --- masks ---


@ANY_TMP
@given(data=st.data(), bits=st.sampled_from([1, 2, 4, 8]))
def test_a_palette_mask_is_read_by_its_numbers(tmp_path: Path, data: st.DataObject, bits: int) -> None:
    width = data.draw(st.integers(1, 9))
    numbers = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=width, max_size=width))
    # Colours that repeat, so that nobody could find the number from the colour.
    colors = data.draw(st.lists(st.integers(0, 3), min_size=3 << bits, max_size=3 << bits))
    values = np.tile(np.array(numbers, np.uint8), (3, 1))
    image = Image.fromarray(values, "L")
    image.putpalette(colors)
    path = save(tmp_path / "p.png", image, bits=bits)
    with Image.open(path) as written:
        assert written.mode == "P"
    stored = read_stored(path)
    assert np.array_equal(stored.values, values)
    assert stored.palette is not None
    used = np.asarray(stored.palette)[values]
    assert np.array_equal(used, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_grey_of_few_bits_is_not_stretched(depth: int, tmp_path: Path) -> None:
    values = np.arange(3 * 7, dtype=np.uint8).reshape(3, 7) % (1 << depth)
    path = tmp_path / "g.png"
    path.write_bytes(gray_png(values, depth))
    stored = read_stored(path)
    assert np.array_equal(stored.values, values)
    assert stored.palette is None


def test_a_palette_mask_with_transparency_is_read_by_its_numbers(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    image = Image.fromarray(values, "L")
    image.putpalette(list(range(48)))
    path = save(tmp_path / "t.png", image, transparency=bytes(range(0, 240, 20)))
    assert np.array_equal(read_stored(path).values, values)


def test_masks_of_other_kinds_keep_their_values(tmp_path: Path) -> None:
    wide = np.array([[0, 1, 300, 65535]], np.uint16)
    assert cv2.imwrite(str(tmp_path / "w.png"), wide)
    assert np.array_equal(read_stored(tmp_path / "w.png").values, wide)
    image = Image.fromarray(picture()).convert("RGBA")
    assert np.array_equal(read_stored(save(tmp_path / "c.png", image)).values, picture()[..., ::-1])
    image = Image.fromarray(picture()[..., 0]).convert("LA")
    assert np.array_equal(read_stored(save(tmp_path / "la.png", image)).values, picture()[..., 0])


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_damaged_mask_is_refused(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(picture()[..., 0]).convert(mode)
    path = save(tmp_path / "p.png", image)
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 20] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(BadFileError, match=r"p\.png: damaged: a part of the PNG fails its checksum"):
        read_stored(path)


def test_a_palette_of_broken_colours_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "p.png", Image.fromarray(picture()[..., 0]).convert("P"))
    data = path.read_bytes()
    start = data.index(b"PLTE") - 4
    size = int.from_bytes(data[start : start + 4], "big")
    chunk = b"PLTE" + bytes(4)
    broken = (4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    path.write_bytes(data[:start] + broken + data[start + 12 + size :])
    with pytest.raises(BadFileError, match=r"p\.png: damaged: its palette has 4 bytes"):
        read_stored(path)


@pytest.mark.realdata
def test_pascal_voc_masks_are_read_by_their_numbers(real_data: Path) -> None:
    for path in sorted((real_data / "voc-person/SegmentationClass").glob("*.png")):
        with Image.open(path) as image:
            assert image.mode == "P"
            assert np.array_equal(read_stored(path).values, np.asarray(image))
