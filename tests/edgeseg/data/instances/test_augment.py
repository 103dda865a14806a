from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

from edgeseg.data.augment_config import PRESETS, AugmentConfig, recipe
from edgeseg.data.augmentation.geometry import DOWN, Warp
from edgeseg.data.augmentation.pair import Fill, seeded
from edgeseg.data.instances.augment import instance_augmentation
from edgeseg.data.instances.base import Instance
from edgeseg.data.instances.geometry import Cutout, Mirror, ScaleJitter, Turn
from edgeseg.data.instances.mixing import CopyPaste, Mosaic, paste
from edgeseg.data.instances.picture import LEFT, Picture, cover_of
from edgeseg.data.instances.regions import tight, without
from edgeseg_runtime.contract import Contract, Label, Selection
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.instances.region import Region
from tests.edgeseg.data.instances.objects import full, whole

HEIGHT, WIDTH = 48, 64
COLOR = (1, 2, 3)
LABELS = (Label("cat", (9, 9, 9)), Label("dog", (8, 8, 8)))
CONTRACT = Contract(LABELS, HEIGHT, WIDTH, "instance", output="prototypes", selection=Selection((0.5, 0.5)))
EVERYTHING = AugmentConfig(
    vflip=0.5, warp=0.5, rotate=30, shear=10, translate=0.2, perspective=0.2, cutout=0.5, mosaic=0.5, copy_paste=0.7
)


def painted(seed: int) -> Picture:
    """Make a picture whose objects have colours of their own: the truth can be read off its pixels."""
    rng = np.random.default_rng(seed)
    image = np.full((HEIGHT, WIDTH, 3), 50, np.uint8)
    objects: list[Instance] = []
    for number in range(int(rng.integers(0, 5))):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        centre, axes = (int(rng.integers(0, WIDTH)), int(rng.integers(0, HEIGHT))), rng.integers(1, 20, 2).tolist()
        cv2.ellipse(mask, centre, axes, float(rng.integers(180)), 0, 360, (1,), -1)
        image[mask != 0] = 80 + 40 * number
        # the ones below lose what is hidden
        objects = [replace(each, region=without(each.region, mask != 0)) for each in objects]
        objects.append(Instance(int(rng.integers(2)), tight(whole(mask)), crowd=bool(rng.random() < 0.2)))
    return Picture(image, tuple(each for each in objects if each.region.inside.size))


@dataclass(frozen=True)
class Pages:
    pictures: Sequence[Picture]

    def __len__(self) -> int:
        return len(self.pictures)

    def picture(self, index: int) -> Picture:
        return self.pictures[index]


def same(one: Picture, two: Picture) -> bool:
    return np.array_equal(one.image, two.image) and values(one.objects) == values(two.objects)


def values(objects: Sequence[Instance]) -> list[Any]:
    return [
        (each.label, each.crowd, each.region.top, each.region.left, each.region.inside.tolist()) for each in objects
    ]


def sound(picture: Picture) -> None:
    """Check what holds of every picture: objects have pixels, lie inside, and their boxes are their masks' extents."""
    assert picture.image.dtype == np.uint8 and picture.image.shape == (HEIGHT, WIDTH, 3)
    for each in picture.objects:
        rows, columns = each.region.inside.shape
        assert each.region.top >= 0 and each.region.left >= 0
        assert each.region.top + rows <= HEIGHT and each.region.left + columns <= WIDTH
        ys, xs = np.nonzero(full(each.region, HEIGHT, WIDTH))
        assert len(ys)
        assert each.box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)


# --- what holds whatever is drawn ---


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(PRESETS), st.booleans())
def test_masks_boxes_and_frames_stay_sound(seed: int, preset: Any, everything: bool) -> None:
    album = Pages([painted(seed + place) for place in range(3)])
    before = [(each.image.copy(), each.objects) for each in album.pictures]
    augment = instance_augmentation(preset, CONTRACT, EVERYTHING if everything else None)
    found = augment(album.picture(0), seeded(seed), 0, album)
    sound(found)
    assert same(found, augment(album.picture(0), seeded(seed), 0, album))
    # nothing that was given is written into
    for (image, objects), each in zip(before, album.pictures, strict=True):
        assert np.array_equal(image, each.image) and objects is each.objects


GEOMETRY: list[Callable[[], Any]] = [
    lambda: Mirror(1),
    lambda: Mirror(1, DOWN),
    lambda: ScaleJitter((0.1, 2.0), COLOR),
    lambda: Turn(Warp(1, Fill(COLOR, 255), 30, 10, 0.2, 0.1)),
    lambda: Cutout(1, COLOR),
]


@pytest.mark.parametrize("make", GEOMETRY)
def test_objects_go_where_their_pixels_go(make: Callable[[], Any]) -> None:
    compared = 0
    for seed in range(40):
        before = painted(seed)
        after = make()(before, seeded(seed))
        sound(after)
        assert {(each.label, each.crowd) for each in after.objects} <= {(e.label, e.crowd) for e in before.objects}
        for each in after.objects:
            inside = full(each.region, HEIGHT, WIDTH).astype(np.uint8)
            # rims are blended, with what is outside the picture too
            core = cv2.erode(np.pad(inside, 4), np.ones((7, 7)))[4:-4, 4:-4] != 0
            seen = after.image[core][:, 0].astype(int)
            if len(seen):
                compared += 1
                # interpolation of one colour with itself may round
                assert seen.max() - seen.min() <= 2
                assert seen[0] >= 78
    assert compared > 20


@pytest.mark.parametrize("make", GEOMETRY)
def test_crowds_stay_crowds(make: Callable[[], Any]) -> None:
    region = Region(10, 10, np.ones((30, 40), np.bool_))
    picture = Picture(np.zeros((HEIGHT, WIDTH, 3), np.uint8), (Instance(1, region, crowd=True),))
    kept = [each for seed in range(20) for each in make()(picture, seeded(seed)).objects]
    assert kept and all(each.crowd and each.label == 1 for each in kept)


# --- mirror and zoom ---


@pytest.mark.parametrize("axis", [1, DOWN])
def test_mirroring_twice_changes_nothing(axis: int) -> None:
    picture = painted(4)
    once = Mirror(1, axis)(picture, seeded(0))
    assert not same(once, picture)
    assert same(Mirror(1, axis)(once, seeded(0)), picture)
    assert same(Mirror(0, axis)(picture, seeded(0)), picture)


def test_a_zoom_of_one_changes_nothing() -> None:
    picture = painted(4)
    assert same(ScaleJitter((1.0, 1.0), COLOR)(picture, seeded(0)), picture)


def test_large_scale_jitter_is_even_between_its_bounds() -> None:
    """Halves of the range are as likely: the paper draws evenly, not evenly on a logarithm."""
    square = Region(0, 0, np.ones((HEIGHT, WIDTH), np.bool_))
    picture = Picture(np.zeros((HEIGHT, WIDTH, 3), np.uint8), (Instance(0, square),))
    jitter = ScaleJitter((0.1, 2.0), COLOR)
    heights = np.array([jitter(picture, seeded(seed)).objects[0].region.inside.shape[0] for seed in range(400)])
    assert 4 <= heights.min() <= 8 and heights.max() == HEIGHT
    assert 0.40 < (heights < HEIGHT).mean() < 0.55  # 0.9 of 1.9
    assert 0.15 < (heights < HEIGHT / 2).mean() < 0.28  # 0.4 of 1.9


def test_a_shrunk_picture_lies_in_the_fill() -> None:
    picture = Picture(np.full((HEIGHT, WIDTH, 3), 200, np.uint8), (Instance(0, whole(np.ones((HEIGHT, WIDTH)))),))
    found = ScaleJitter((0.5, 0.5), COLOR)(picture, seeded(3))
    (each,) = found.objects
    inside = full(each.region, HEIGHT, WIDTH)
    assert each.region.inside.shape == (HEIGHT // 2, WIDTH // 2) and each.region.inside.all()
    assert (found.image[inside] == 200).all() and (found.image[~inside] == COLOR).all()


def test_what_is_zoomed_out_of_sight_is_gone() -> None:
    corner = Instance(0, Region(8, 8, np.ones((5, 5), np.bool_)))
    picture = Picture(np.zeros((HEIGHT, WIDTH, 3), np.uint8), (corner,))
    counts = [len(ScaleJitter((2.0, 2.0), COLOR)(picture, seeded(seed)).objects) for seed in range(30)]
    assert 0 in counts and 1 in counts


# --- copy-paste ---


def blocks(*places: tuple[int, int, int, int], crowd: bool = False, value: int = 100) -> Picture:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    objects = []
    for number, (top, left, rows, columns) in enumerate(places):
        image[top : top + rows, left : left + columns] = value + number
        objects.append(Instance(number % 2, Region(top, left, np.ones((rows, columns), np.bool_)), crowd))
    return Picture(image, tuple(objects))


def test_pasted_objects_hide_what_is_below_them() -> None:
    below, above = blocks((10, 10, 10, 10)), blocks((10, 15, 10, 10), value=200)
    found = paste(below, above, list(above.objects))
    old, new = found.objects
    assert old.box == (10, 10, 15, 20) and new.box == (15, 10, 25, 20)
    assert (found.image[10:20, 10:15] == 100).all() and (found.image[10:20, 15:25] == 200).all()
    assert not (full(old.region, HEIGHT, WIDTH) & full(new.region, HEIGHT, WIDTH)).any()


@pytest.mark.parametrize(("hidden", "kept"), [(8, True), (9, True), (10, False)])
def test_an_object_with_too_little_left_is_dropped(hidden: int, kept: bool) -> None:
    below, above = blocks((10, 10, 10, 10)), blocks((10, 10, 10, hidden), value=200)
    found = paste(below, above, list(above.objects))
    assert (len(found.objects) == 2) == kept
    assert LEFT == 0.1


def test_a_crowd_is_kept_to_its_last_pixel() -> None:
    below = blocks((10, 10, 10, 10), crowd=True)
    region = np.ones((10, 10), np.bool_)
    region[0, 0] = False
    above = Instance(0, Region(10, 10, region))
    crowd, _ = paste(below, blocks(), [above]).objects
    assert crowd.crowd and crowd.region.area == 1
    everything = Instance(0, Region(10, 10, np.ones((10, 10), np.bool_)))
    assert paste(below, blocks(), [everything]).objects == (everything,)


def unchanged(picture: Picture, generator: Generator) -> Picture:
    return picture


def test_copy_paste_takes_from_one_to_all_objects_but_no_crowd() -> None:
    target, source = blocks(), blocks((0, 0, 5, 5), (10, 0, 5, 5), (20, 0, 5, 5))
    crowded = replace(source.objects[0], crowd=True)
    source = Picture(source.image, (crowded, *source.objects[1:]))
    step = CopyPaste(1, unchanged)
    counts = []
    for seed in range(40):
        found = step(target, seeded(seed), 0, Pages([target, source]))
        assert all(each in source.objects[1:] for each in found.objects)
        assert np.array_equal(found.image[..., 0] > 0, cover_of((e.region for e in found.objects), (HEIGHT, WIDTH)))
        counts.append(len(found.objects))
    assert set(counts) == {1, 2}
    assert same(step(source, seeded(0), 1, Pages([target, source])), source)  # nothing to paste
    assert same(CopyPaste(0, unchanged)(target, seeded(0), 0, Pages([target, source])), target)


# --- mosaic and cutout ---


def test_a_mosaic_has_parts_of_four_pictures_and_their_objects() -> None:
    pictures = []
    for number in range(5):
        image = np.full((HEIGHT, WIDTH, 3), 10 * number, np.uint8)
        pictures.append(Picture(image, (Instance(number % 2, Region(0, 0, np.ones((HEIGHT, WIDTH), np.bool_))),)))
    found = Mosaic(1, unchanged)(pictures[0], seeded(2), 0, Pages(pictures))
    sound(found)
    assert len(found.objects) == 4
    assert (cover_of((each.region for each in found.objects), (HEIGHT, WIDTH))).all()
    for each in found.objects:
        values = found.image[full(each.region, HEIGHT, WIDTH)]
        assert values.min() == values.max() and values[0, 0] // 10 % 2 == each.label
    assert found.image[0, 0, 0] == 0


def test_a_cutout_takes_its_pixels_from_the_objects() -> None:
    picture = blocks((0, 0, HEIGHT, WIDTH))
    found = Cutout(1, COLOR)(picture, seeded(5))
    (each,) = found.objects
    assert np.array_equal(~full(each.region, HEIGHT, WIDTH), (found.image == COLOR).all(axis=2))
    assert 0 < each.region.area < HEIGHT * WIDTH


# --- presets ---


def test_presets_of_objects() -> None:
    strong = recipe("strong", None, "instance")
    assert (strong.zoom_out, strong.zoom_in, strong.copy_paste) == (0.1, 2.0, 0.5)
    standard = recipe("standard", None, "instance")
    assert (standard.zoom_out, standard.zoom_in, standard.copy_paste) == (0.5, 1.5, None)
    assert recipe("light", None, "instance") == recipe("light") and recipe("none", None, "instance") == AugmentConfig()


@pytest.mark.parametrize("piece", ["classmix", "class_crop"])
def test_pieces_that_work_on_classes_are_refused(piece: str) -> None:
    with pytest.raises(ConfigError, match=f"--{piece.replace('_', '-')} is for classes of pixels"):
        instance_augmentation("standard", CONTRACT, AugmentConfig(**{piece: 0.5}))
    instance_augmentation("standard", CONTRACT, AugmentConfig(**{piece: 0}))


def test_none_changes_nothing() -> None:
    picture = painted(4)
    assert instance_augmentation("none", CONTRACT)(picture, seeded(0), 0, Pages([picture])) is picture
