from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgeseg.data.encoding import Encoding, read_encoding

SIZE = (16, 12)


def stored(mode: str, kind: str, orientation: int | None = None, **options: object) -> bytes:
    """Encode a picture with a library of its own."""
    buffer, extra = io.BytesIO(), dict(options)
    if orientation is not None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        extra["exif"] = exif
    Image.new(mode, SIZE).save(buffer, kind, **extra)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "kind", "expected"),
    [
        ("RGB", "JPEG", Encoding("jpeg", "colour", lossy=True)),
        ("L", "JPEG", Encoding("jpeg", "grey", lossy=True)),
        ("CMYK", "JPEG", Encoding("jpeg", "cmyk", lossy=True)),
        ("RGB", "PNG", Encoding("png", "colour")),
        ("L", "PNG", Encoding("png", "grey")),
        ("P", "PNG", Encoding("png", "palette", 1)),
        ("LA", "PNG", Encoding("png", "alpha")),
        ("RGBA", "PNG", Encoding("png", "alpha")),
        ("I;16", "PNG", Encoding("png", "grey", 16)),
        ("1", "PNG", Encoding("png", "grey", 1)),
        ("RGB", "BMP", Encoding("bmp", "colour")),
        ("P", "BMP", Encoding("bmp", "palette")),
        ("RGB", "TIFF", Encoding("tiff", "colour")),
        ("L", "TIFF", Encoding("tiff", "grey")),
        ("P", "TIFF", Encoding("tiff", "palette")),
        ("CMYK", "TIFF", Encoding("tiff", "cmyk")),
        ("RGBA", "TIFF", Encoding("tiff", "alpha")),
        ("I;16", "TIFF", Encoding("tiff", "grey", 16)),
        ("RGB", "WEBP", Encoding("webp", "colour", lossy=True)),
    ],
)
def test_kinds_and_colours(mode: str, kind: str, expected: Encoding) -> None:
    assert read_encoding(stored(mode, kind)) == expected


def test_16_bit_colours() -> None:
    done, data = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint16))
    assert done
    assert read_encoding(data.tobytes()) == Encoding("png", "colour", 16)


def test_webp_without_loss_and_with_transparency() -> None:
    assert not read_encoding(stored("RGB", "WEBP", lossless=True)).lossy
    buffer = io.BytesIO()
    Image.new("RGBA", SIZE, (1, 2, 3, 40)).save(buffer, "WEBP")
    assert read_encoding(buffer.getvalue()).mode == "alpha"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_the_one_that_the_decoder_obeys(kind: str, orientation: int) -> None:
    data = stored("RGB", kind, orientation)
    assert read_encoding(data).orientation == orientation
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape[:2] == (SIZE if orientation > 4 else SIZE[::-1])


def test_a_jpeg_inside_a_tiff() -> None:
    assert read_encoding(stored("RGB", "TIFF", compression="jpeg")).lossy


@given(
    data=st.binary(max_size=200),
    head=st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"BM"]),
)
def test_damaged_heads_are_no_error(data: bytes, head: bytes) -> None:
    assert isinstance(read_encoding(head + data), Encoding)


@given(cut=st.integers(0, 600), kind=st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF", "BMP"]))
def test_cut_files_are_no_error(cut: int, kind: str) -> None:
    assert isinstance(read_encoding(stored("RGB", kind, 6 if kind != "BMP" else None)[:cut]), Encoding)
