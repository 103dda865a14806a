from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from edgeseg.data.jpeg_damage import jpeg_damage

RNG = np.random.default_rng(0)
PICTURE = np.kron(RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))


def jpeg(picture: npt.NDArray[np.uint8] = PICTURE, mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_sound_files_are_left_in_peace(mode: str, progressive: bool) -> None:
    assert jpeg_damage(jpeg(mode=mode, progressive=progressive)) is None


def test_what_follows_the_picture_is_no_damage() -> None:
    assert jpeg_damage(jpeg() + b"of another program" * 9) is None


def test_an_end_that_is_missing() -> None:
    assert jpeg_damage(jpeg()[:-200]) == "Premature end of JPEG file"


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_bytes_in_the_middle_of_another_file(mode: str) -> None:
    data = bytearray(jpeg(mode=mode))
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(range(1, 41))
    assert "orrupt" in (jpeg_damage(bytes(data)) or "")


def test_a_form_that_is_not_known_is_no_damage() -> None:
    data = bytearray(jpeg())
    start = data.index(b"\xff\xc0")  # the frame's header; bits a channel follow its length
    assert data[start + 4] == 8
    data[start + 4] = 12
    assert jpeg_damage(bytes(data)) is None
