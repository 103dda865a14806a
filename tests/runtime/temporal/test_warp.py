from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgeseg_runtime.errors import ConfigError, FrameError
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.temporal.flow import LEAST_SIDE, Flow, carried, gray
from edgeseg_runtime.temporal.thumbnail import thumbnail
from edgeseg_runtime.temporal.warp import Warp

SIZE = (240, 320)


def wide_scene() -> tuple[Image, Mask]:
    """A textured panorama and its mask: three classes, one a shape that stands out by its colour."""
    rng = np.random.default_rng(0)
    image: Image = cv2.resize(rng.integers(0, 200, (40, 80, 3), np.uint8), (640, 320), interpolation=cv2.INTER_CUBIC)  # type: ignore[assignment]
    mask = np.zeros((320, 640), np.uint8)
    mask[200:] = 1
    cv2.circle(mask, (300, 160), 50, 2, -1)
    image[mask == 2] = image[mask == 2] // 2 + np.array((10, 20, 120), np.uint8)
    return image, mask


def view(x: int, y: int) -> tuple[Image, Mask]:
    image, mask = wide_scene()
    window = np.s_[y : y + SIZE[0], x : x + SIZE[1]]
    return np.ascontiguousarray(image[window]), np.ascontiguousarray(mask[window])


def wrong(mask: Mask, truth: Mask, margin: int = 24) -> float:
    inner = np.s_[margin:-margin, margin:-margin]
    return float((mask[inner] != truth[inner]).mean())


@pytest.mark.parametrize(("dx", "dy"), [(4, 0), (0, -5), (9, 6), (-16, 3), (14, 8)])
def test_a_carried_mask_follows_the_camera_where_a_held_one_stays_behind(dx: int, dy: int) -> None:
    image, mask = view(150, 40)
    later, truth = view(150 + dx, 40 + dy)
    warp = Warp()
    warp.keyframe(thumbnail(image), mask, 10.0)
    moved = warp.carry(thumbnail(later), 10.2)
    assert moved is not None and moved.shape == mask.shape and moved.dtype == np.uint8
    assert wrong(moved, truth) < 0.25 * wrong(mask, truth)


def test_a_thing_that_moves_before_a_background_at_rest_is_followed() -> None:
    background = view(0, 0)[0]

    def at(x: int) -> tuple[Image, Mask]:
        image, mask = background.copy(), np.zeros(SIZE, np.uint8)
        texture = wide_scene()[0][100:160, 400:460]
        image[80:140, x : x + 60], mask[80:140, x : x + 60] = texture, 1
        return image, mask

    (image, mask), (later, truth) = at(100), at(112)
    warp = Warp()
    warp.keyframe(thumbnail(image), mask, 0.0)
    moved = warp.carry(thumbnail(later), 0.1)
    assert moved is not None
    assert wrong(moved, truth) < 0.5 * wrong(mask, truth)


def test_motion_far_beyond_one_search_is_found_frame_by_frame() -> None:
    image, mask = view(60, 40)
    warp, alone = Warp(), Warp()
    for one in (warp, alone):
        one.keyframe(thumbnail(image), mask, 0.0)
    for step in range(1, 9):
        later, truth = view(60 + 12 * step, 40)
        moved = warp.carry(thumbnail(later), 0.05 * step)
    unaided = alone.carry(thumbnail(later), 0.4)
    assert moved is not None and unaided is not None
    assert wrong(moved, truth, 100) < 0.25 * wrong(mask, truth, 100)
    assert wrong(moved, truth, 100) <= wrong(unaided, truth, 100)


def test_the_same_picture_gives_the_same_mask() -> None:
    image, mask = view(100, 30)
    warp = Warp()
    warp.keyframe(thumbnail(image), mask, 0.0)
    moved = warp.carry(thumbnail(image), 0.1)
    assert moved is not None and (moved == mask).all()
    assert moved is not mask  # whoever draws on it spoils nothing


def test_no_class_is_invented() -> None:
    image, mask = view(150, 40)
    mask[mask == 1] = 7  # between 0, 2 and 7 there is much to blend
    warp = Warp()
    warp.keyframe(thumbnail(image), mask, 0.0)
    moved = warp.carry(thumbnail(view(161, 45)[0]), 0.1)
    assert moved is not None and set(np.unique(moved)) <= {0, 2, 7}


def test_a_mask_that_is_too_old_is_not_carried() -> None:
    image, mask = view(100, 30)
    warp = Warp(max_age_s=0.3)
    assert warp.carry(thumbnail(image), 0.0) is None
    warp.keyframe(thumbnail(image), mask, 5.0)
    assert warp.carry(thumbnail(image), 5.3) is not None
    assert warp.carry(thumbnail(image), 5.4) is None
    warp.keyframe(thumbnail(image), mask, 5.4)
    assert warp.carry(thumbnail(image), 5.5) is not None
    warp.reset()
    assert warp.carry(thumbnail(image), 5.6) is None


def test_a_frame_of_another_size_gets_no_mask_until_one_of_its_size_came() -> None:
    image, mask = view(100, 30)
    warp = Warp()
    warp.keyframe(thumbnail(image), mask, 0.0)
    narrow = np.ascontiguousarray(image[:, :200])
    assert warp.carry(thumbnail(narrow), 0.1) is None
    warp.keyframe(thumbnail(narrow), np.ascontiguousarray(mask[:, :200]), 0.1)
    moved = warp.carry(thumbnail(narrow), 0.2)
    assert moved is not None and moved.shape == (240, 200)


def test_the_answer_does_not_depend_on_what_went_before() -> None:
    image, mask = view(150, 40)
    later = thumbnail(view(159, 43)[0])
    fresh, used = Warp(), Warp()
    used.keyframe(thumbnail(view(10, 0)[0]), mask, 0.0)
    for x in (20, 60, 90):  # the search keeps what it found; it must not go on from there
        used.carry(thumbnail(view(x, 0)[0]), 0.1)
    for warp in (fresh, used):
        warp.keyframe(thumbnail(image), mask, 1.0)
    assert (fresh.carry(later, 1.1) == used.carry(later, 1.1)).all()  # type: ignore[union-attr]


def test_what_came_into_view_is_not_dragged_along() -> None:
    before = gray(thumbnail(view(150, 40)[0]))
    field = np.zeros((*before.shape, 2), np.float32)
    field[30:60, 40:80] = 12.0  # a motion that the picture contradicts: it stands still
    kept = Flow().believable(field, before, before)
    assert (kept[35:55, 45:75] == 0).mean() > 0.8  # the rest is as plain there as here


def test_true_motion_is_believed() -> None:
    before, after = (gray(thumbnail(view(x, 40)[0])) for x in (150, 158))
    field = np.zeros((*before.shape, 2), np.float32)
    field[..., 0] = 4.0  # 8 pixels of the frame
    kept = Flow().believable(field, after, before)
    assert (kept == field).mean() > 0.95


def test_where_is_the_field_at_another_size() -> None:
    field = np.zeros((30, 40, 2), np.float32)
    field[...] = (1.0, -2.0)
    where = Flow().where(field, (60, 160))
    rows, columns = np.mgrid[:60, :160]
    np.testing.assert_allclose(where, np.dstack([columns + 4.0, rows - 4.0]), atol=1e-4)


def test_what_was_outside_comes_from_the_nearest_border() -> None:
    plane = np.arange(12, dtype=np.uint8).reshape(3, 4)
    where = np.dstack(np.meshgrid(np.arange(4.0) + 2, np.arange(3.0) - 1)).astype(np.float32)
    expected = plane[np.clip(np.arange(3) - 1, 0, 2)][:, np.clip(np.arange(4) + 2, 0, 3)]
    assert (carried(plane, where, cv2.INTER_NEAREST) == expected).all()


@pytest.mark.parametrize("size", [(LEAST_SIDE, 160), (160, LEAST_SIDE), (LEAST_SIDE, LEAST_SIDE), (90, 160)])
def test_the_smallest_pictures_allowed_work(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    assert np.abs(Flow().between(picture, picture)).max() == 0


def test_pictures_of_many_sizes_one_after_the_other_work() -> None:
    flow = Flow()
    for size in ((90, 160), (120, 160), (30, 40), (240, 160), (16, 160), (90, 160)):
        picture = np.random.default_rng(0).integers(0, 256, size, np.uint8)
        assert np.abs(flow.between(picture, picture)).max() == 0
        assert flow.where(np.zeros((*size, 2), np.float32), size).shape == (*size, 2)


def test_pictures_in_which_no_motion_can_be_found_are_refused() -> None:
    small = np.zeros((LEAST_SIDE - 1, 160), np.uint8)
    with pytest.raises(FrameError, match="at least 16×16, got 15×160"):
        Flow().between(small, small)
    with pytest.raises(FrameError, match="one size, got 90×160 and 80×160"):
        Flow().between(np.zeros((90, 160), np.uint8), np.zeros((80, 160), np.uint8))


def test_an_age_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_age_s must be above 0 seconds, got 0"):
        Warp(max_age_s=0)
