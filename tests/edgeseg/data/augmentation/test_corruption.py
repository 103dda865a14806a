from __future__ import annotations

import io
from math import log
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torchvision.transforms.v2 import functional as F

from edgeseg.data.augmentation.corruption import CUT_AREA, CUT_ASPECT, NOISE, QUALITY, Blur, Cutout, Jpeg, Noise
from edgeseg.data.augmentation.pair import Fill, Pair, seeded, whole

FILL = Fill((51, 102, 153), 255)


@pytest.fixture
def pair(smooth: Any, encoded: Any) -> Pair:
    return Pair(smooth, encoded(0).mask, wanted=1)


@pytest.mark.parametrize("kind", [Blur, Noise, lambda share: Jpeg(share, "rgb"), lambda share: Cutout(share, FILL)])
class TestEach:
    def test_happens_to_its_share(self, kind: Any, pair: Pair) -> None:
        piece = kind(0.25)
        assert 0.18 < np.mean([piece(pair, seeded(seed)) is not pair for seed in range(400)]) < 0.32
        assert kind(0.0)(pair, seeded(0)) is pair

    def test_changes_the_picture_and_leaves_what_it_was_given(self, kind: Any, pair: Pair) -> None:
        image, mask = pair.image.copy(), pair.mask.copy()
        out = kind(1.0)(pair, seeded(3))
        assert not np.array_equal(out.image, image)
        assert np.array_equal(pair.image, image)
        assert np.array_equal(pair.mask, mask)
        assert out.image.shape == image.shape
        assert out.image.dtype == out.mask.dtype == np.uint8
        assert out.wanted == 1

    def test_is_another_each_time_and_the_same_for_the_same_seed(self, kind: Any, pair: Pair) -> None:
        one, two, again = (kind(1.0)(pair, seeded(seed)).image for seed in (1, 2, 1))
        assert not np.array_equal(one, two)
        assert np.array_equal(one, again)


def test_blur_is_torchvisions(pair: Pair) -> None:
    generator = seeded(5)
    torch.rand(1, generator=generator)
    sigma = 0.3 + 1.2 * float(torch.rand(1, generator=generator))
    reference = F.gaussian_blur(torch.from_numpy(pair.image).permute(2, 0, 1), [5, 5], [sigma, sigma])
    out = Blur(1.0)(pair, seeded(5))
    assert np.abs(out.image.astype(int) - reference.permute(1, 2, 0).numpy()).max() <= 1
    assert out.mask is pair.mask


def test_noise_is_gaussian_in_its_bounds() -> None:
    gray = Pair(np.full((72, 96, 3), 128, np.uint8), np.zeros((72, 96), np.uint8))
    deviations = []
    for seed in range(60):
        noise = Noise(1.0)(gray, seeded(seed)).image.astype(float) - 128
        deviations.append(noise.std())
        assert abs(noise.mean()) < 4 * noise.std() / np.sqrt(noise.size)
        assert abs(stats.kurtosis(noise.ravel())) < 0.25
        assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.05
    assert 0.98 * NOISE[0] < min(deviations) < NOISE[0] + 1.5
    assert NOISE[1] - 1.5 < max(deviations) < 1.02 * NOISE[1]


def test_noise_stays_in_range_and_rounds_to_the_nearest() -> None:
    image = np.zeros((72, 96, 3), np.uint8)
    image[:36] = 255
    generator = seeded(2)
    torch.rand(1, generator=generator)
    sigma = NOISE[0] + (NOISE[1] - NOISE[0]) * float(torch.rand(1, generator=generator))
    noise = torch.randn(72, 96, 3, generator=generator).double().numpy() * sigma
    expected = np.clip(image + noise, 0, 255)
    out = Noise(1.0)(Pair(image, image[..., 0]), seeded(2)).image
    assert np.abs(out - expected).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_jpeg_is_pillows(order: Any, pair: Pair) -> None:
    generator = seeded(8)
    torch.rand(1, generator=generator)
    quality = whole(*QUALITY, generator)
    rgb = pair.image if order == "rgb" else pair.image[..., ::-1]
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(file, "jpeg", quality=quality)
    reference = np.asarray(Image.open(file))
    out = Jpeg(1.0, order)(pair, seeded(8))
    found = out.image if order == "rgb" else out.image[..., ::-1]
    assert np.abs(found.astype(int) - reference).mean() < 1
    assert np.abs(found.astype(int) - rgb).mean() > 1
    assert out.mask is pair.mask


def test_jpegs_quality_is_drawn_from_end_to_end(pair: Pair) -> None:
    errors = [np.abs(Jpeg(1.0, "rgb")(pair, seeded(seed)).image.astype(int) - pair.image).mean() for seed in range(60)]

    def error(quality: int) -> float:
        data = cv2.imencode(".jpg", pair.image[..., ::-1].copy(), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return float(np.abs(np.asarray(cv2.imdecode(data, 1))[..., ::-1].astype(int) - pair.image).mean())

    assert error(QUALITY[1]) <= min(errors) < max(errors) <= error(QUALITY[0])


def test_a_cutout_is_one_rectangle_of_the_fill_and_the_rest_stays(pair: Pair) -> None:
    areas, aspects = [], []
    for seed in range(200):
        out = Cutout(1.0, FILL)(pair, seeded(seed))
        rows, columns = np.nonzero(out.mask == 255)
        window = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert (out.mask[window] == 255).all()
        assert (out.image[window] == FILL.color).all()
        rest = np.ones_like(out.mask, bool)
        rest[window] = False
        assert np.array_equal(out.image[rest], pair.image[rest])
        assert np.array_equal(out.mask[rest], pair.mask[rest])
        areas.append(len(rows) / out.mask.size)
        aspects.append(log(((np.ptp(rows) + 1) / 72) / ((np.ptp(columns) + 1) / 96)))
    assert 0.9 * CUT_AREA[0] < min(areas) < 0.04
    assert 0.18 < max(areas) < 1.05 * CUT_AREA[1]
    assert log(CUT_ASPECT[0]) - 0.2 < min(aspects) < -0.8
    assert 0.8 < max(aspects) < log(CUT_ASPECT[1]) + 0.2
