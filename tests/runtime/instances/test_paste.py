from __future__ import annotations

from math import floor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg_runtime.instances.paste import Patch, paste
from edgeseg_runtime.instances.product import product
from edgeseg_runtime.instances.region import Region

Floats = npt.NDArray[np.float32]


def whole(region: Region, height: int, width: int) -> npt.NDArray[np.bool_]:
    """The region in a picture of its own."""
    mask = np.zeros((height, width), np.bool_)
    rows, columns = region.inside.shape
    assert region.top >= 0 and region.left >= 0 and region.top + rows <= height and region.left + columns <= width
    mask[region.top : region.top + rows, region.left : region.left + columns] = region.inside
    return mask


def value_at(patch: Patch, x: float, y: float) -> float:
    """The patch's value at a point of the frame, one number at a time."""
    h, w = patch.values.shape
    column = min(max((x - patch.left) / patch.width * w - 0.5, 0.0), w - 1.0)
    row = min(max((y - patch.top) / patch.height * h - 0.5, 0.0), h - 1.0)
    c, r = floor(column), floor(row)
    right, below = min(c + 1, w - 1), min(r + 1, h - 1)
    upper = patch.values[r, c] * (1 - (column - c)) + patch.values[r, right] * (column - c)
    lower = patch.values[below, c] * (1 - (column - c)) + patch.values[below, right] * (column - c)
    return float(upper * (1 - (row - r)) + lower * (row - r))


places, sides = st.floats(-12, 36), st.floats(0.3, 40)


@st.composite
def patches(draw: st.DrawFn) -> tuple[Patch, list[float]]:
    """A patch with a box that need have nothing to do with it."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    values = rng.normal(size=(draw(st.integers(1, 6)), draw(st.integers(1, 6)))).astype(np.float32)
    patch = Patch(values, draw(places), draw(places), draw(sides), draw(sides), draw(st.sampled_from([0.0, 0.3])))
    x0, y0 = draw(places), draw(places)
    return patch, [x0, y0, x0 + draw(sides), y0 + draw(sides)]


@settings(max_examples=60, deadline=None)
@given(st.lists(patches(), min_size=1, max_size=4))
def test_it_is_what_one_pixel_at_a_time_gives(drawn: list[tuple[Patch, list[float]]]) -> None:
    height, width = 17, 23
    boxes = np.array([box for _, box in drawn], np.float32)
    regions = paste([patch for patch, _ in drawn], boxes, height, width)
    for (patch, _), (x0, y0, x1, y1), region in zip(drawn, boxes.tolist(), regions, strict=True):
        mask = whole(region, height, width)
        for y in range(height):
            for x in range(width):
                value = value_at(patch, x + 0.5, y + 0.5)
                if not (x0 <= x + 0.5 <= x1 and y0 <= y + 0.5 <= y1):
                    assert not mask[y, x]
                elif abs(value - patch.threshold) > 1e-5:
                    assert mask[y, x] == (value > patch.threshold)


@pytest.mark.parametrize("cells", [(1, 1), (1, 7), (5, 1), (28, 28), (30, 40)])
@pytest.mark.parametrize("size", [(60, 80), (31, 47), (20, 23), (500, 700)])
def test_over_the_whole_frame_it_is_torchs_interpolation(cells: tuple[int, int], size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    height, width = size
    values = np.random.default_rng(0).normal(size=cells).astype(np.float32)
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None, None], size, mode="bilinear", align_corners=False
    )[0, 0].numpy()
    (region,) = paste([Patch(values, 0, 0, width, height, 0.1)], box(0, 0, width, height), height, width)
    clear = np.abs(wanted - 0.1) > 1e-5
    np.testing.assert_array_equal(whole(region, height, width)[clear], wanted[clear] > 0.1)


@pytest.mark.parametrize("seed", range(4))
def test_in_a_box_it_is_torchs_grid_sampling(seed: int) -> None:
    """As Mask R-CNN's masks lie in their boxes, at fractions of pixels; `border` goes on as the edge does."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    height, width = 90, 120
    values = rng.random((28, 28), np.float32)
    x0, y0 = rng.uniform(-20, 80, 2)
    x1, y1 = x0 + rng.uniform(3, 90), y0 + rng.uniform(3, 90)
    x = (torch.arange(width) + 0.5 - x0) / (x1 - x0) * 2 - 1
    y = (torch.arange(height) + 0.5 - y0) / (y1 - y0) * 2 - 1
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)[None].double()
    picture = torch.from_numpy(values).double()[None, None]
    sampled: Any = torch.nn.functional.grid_sample(picture, grid, padding_mode="border", align_corners=False)
    inside = (x.abs() <= 1)[None, :] & (y.abs() <= 1)[:, None]
    wanted = ((sampled[0, 0] > 0.5) & inside).numpy()
    patch = Patch(values, x0, y0, x1 - x0, y1 - y0, 0.5)
    (region,) = paste([patch], box(x0, y0, x1, y1), height, width)
    clear = (sampled[0, 0] - 0.5).abs().numpy() > 1e-5
    np.testing.assert_array_equal(whole(region, height, width)[clear], wanted[clear])


def box(x0: float, y0: float, x1: float, y1: float) -> Floats:
    return np.array([[x0, y0, x1, y1]], np.float32)


def test_by_hand() -> None:
    # two cells side by side over 4 pixels: centres at 1 and 3, so pixels at 0.5, 1.5, 2.5, 3.5 are 1, .75, .25, 0
    patch = Patch(np.array([[1, 0]], np.float32), 10, 5, 4, 2, 0.5)
    (region,) = paste([patch], box(10, 5, 14, 7), 20, 20)
    assert (region.top, region.left, region.inside.tolist()) == (5, 10, [[True, True, False, False]] * 2)
    assert region.area == 4
    (region,) = paste([patch], box(10.6, 5, 12, 6.4), 20, 20)  # pixel 10's centre is outside, row 6's too
    assert (region.top, region.left, region.inside.tolist()) == (5, 11, [[True]])


@pytest.mark.parametrize(
    "edges", [(-9, 2, -1, 8), (30, 2, 40, 8), (2, -9, 8, -1), (2, 30, 8, 40), (3.6, 3, 4.4, 9), (5, 5, 5, 5)]
)
def test_a_box_that_holds_no_pixels_centre_holds_nothing(edges: tuple[float, float, float, float]) -> None:
    patch = Patch(np.ones((3, 3), np.float32), 0, 0, 9, 9, 0.5)
    first, empty = paste([patch, patch], np.concatenate([box(0, 0, 2, 2), box(*edges)]), 12, 20)
    assert first.area == 4 and empty.area == 0


def test_without_objects_there_is_nothing() -> None:
    assert paste([], np.zeros((0, 4), np.float32), 5, 5) == ()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.integers(1, 90), st.integers(1, 300))
def test_products_are_numpys(rows: int, inner: int, columns: int) -> None:
    rng = np.random.default_rng(rows)
    left, right = rng.normal(size=(rows, inner)).astype(np.float32), rng.normal(size=(inner, columns))
    got = product(left, right.astype(np.float32), np.empty((rows, columns), np.float32))
    np.testing.assert_allclose(got, left.astype(np.float64) @ right, atol=1e-4)
