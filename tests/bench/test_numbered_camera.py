from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_bench.numbered_camera import BITS, number_of, numbered


@given(number=st.integers(0, 2**BITS - 1), seed=st.integers(0, 9), quality=st.integers(40, 95))
def test_a_number_survives_compression(number: int, seed: int, quality: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (40, 400, 3)).astype(np.uint8)
    data = cv2.imencode(".jpg", numbered(picture, number), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    assert number_of(cv2.imdecode(data, cv2.IMREAD_COLOR)) == number  # type: ignore[arg-type]
