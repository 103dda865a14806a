from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg.data.procedural import SPLITS, ProceduralData, ProceduralSpec, procedural_clip
from edgeseg.data.scene import CAR, LABELS, LANE, PERSON, POLE, ROAD, SIGN, SKY
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import DatasetError

DIGEST = """
import cv2, hashlib, sys
from edgeseg.data.procedural import ProceduralData, ProceduralSpec
cv2.setNumThreads(int(sys.argv[1]))
data = ProceduralData(ProceduralSpec(seed=3), "val")
digest = hashlib.sha256()
for index in map(int, sys.argv[2:]):
    scene = data.scene(index)
    for part in (scene.image, scene.mask, scene.instances):
        digest.update(part.tobytes())
print(digest.hexdigest())
"""


def small(split: str = "train", n: int = 80) -> ProceduralData:
    return ProceduralData(ProceduralSpec(48, 64, n), split)


def test_scenes_are_the_same_in_any_process_on_any_number_of_threads() -> None:
    run = [sys.executable, "-c", DIGEST]
    outputs = [
        subprocess.run([*run, threads, "5", "6"], capture_output=True, check=True).stdout for threads in ("1", "4")
    ]
    assert outputs[0] == outputs[1]
    data = ProceduralData(ProceduralSpec(seed=3), "val")
    digest = hashlib.sha256()
    data.scene(7)  # what was drawn before changes nothing
    for scene in (data.scene(5), data.scene(6)):
        for part in (scene.image, scene.mask, scene.instances):
            digest.update(part.tobytes())
    assert outputs[0].decode().strip() == digest.hexdigest()


def test_no_scene_is_in_two_splits_or_under_two_seeds() -> None:
    masks = [
        ProceduralData(ProceduralSpec(48, 64, 40, seed), split).read(index).mask.tobytes()
        for seed in (0, 1)
        for split in SPLITS
        for index in range(10)
    ]
    assert len(set(masks)) == len(masks)


def test_more_pictures_do_not_change_the_first_ones() -> None:
    assert np.array_equal(small(n=4).read(3).image, small(n=80).read(3).image)


@settings(deadline=None, max_examples=25)
@given(
    height=st.integers(32, 90),
    width=st.integers(32, 120),
    seed=st.integers(0, 10**9),
    index=st.integers(0, 39),
    night=st.booleans(),
)
def test_any_size_is_drawn_whole(height: int, width: int, seed: int, index: int, night: bool) -> None:
    scene = ProceduralData(ProceduralSpec(height, width, 40, seed, night), "train").scene(index)
    assert scene.image.shape == (height, width, 3)
    assert scene.mask.shape == scene.instances.shape == (height, width)
    assert scene.image.dtype == scene.mask.dtype == np.uint8
    assert scene.mask.max() < len(LABELS)
    # Instances are cars and people, all of them, and each is one or the other.
    countable = np.isin(scene.mask, (CAR, PERSON))
    assert np.array_equal(scene.instances > 0, countable)
    for instance in np.unique(scene.instances[countable]):
        assert len(np.unique(scene.mask[scene.instances == instance])) == 1


def test_every_class_is_there_and_the_rare_ones_are_rare() -> None:
    data = ProceduralData(ProceduralSpec(), "train")
    counts = np.zeros(len(LABELS))
    for index in range(60):
        counts += np.bincount(data.read(index).mask.ravel(), minlength=len(LABELS))
    shares = dict(zip((label.name for label in LABELS), counts / counts.sum(), strict=True))
    assert 0.002 < shares["sign"] < 0.012
    assert 0.004 < shares["person"] < 0.02
    assert 0.005 < shares["lane"] < 0.03
    assert 0.005 < shares["pole"] < 0.04
    assert min(shares[name] for name in ("sky", "building", "road", "car", "pavement", "vegetation")) > 0.03


def test_poles_and_lane_marks_are_thin() -> None:
    data = ProceduralData(ProceduralSpec(), "train")
    for label, widest in ((POLE, 5), (LANE, 7)):
        counts = np.zeros(2)
        for index in range(20):
            mask = (data.read(index).mask == label).astype(np.uint8)
            eroded = cv2.erode(mask, np.ones((1, widest), np.uint8))
            counts += mask.sum(), eroded.sum()
        assert counts[1] < 0.15 * counts[0]


def test_pictures_show_what_the_masks_say() -> None:
    """Classes differ in colour: edges of the picture lie where the mask changes, more than elsewhere."""
    data = ProceduralData(ProceduralSpec(), "train")
    on_edge, elsewhere = [], []
    for index in range(10):
        sample = data.read(index)
        steps = np.abs(np.diff(cv2.GaussianBlur(sample.image, (3, 3), 0).astype(int), axis=1)).sum(2)
        changes = np.diff(sample.mask.astype(int), axis=1) != 0
        on_edge.append(steps[changes].mean())
        elsewhere.append(steps[~changes].mean())
    assert min(np.array(on_edge) / np.array(elsewhere)) > 2


def test_night_is_darker_than_day_and_of_the_same_classes() -> None:
    day, night = (ProceduralData(ProceduralSpec(night=dark), "test") for dark in (False, True))
    brightness = [np.mean([data.read(k).image.mean() for k in range(10)]) for data in (day, night)]
    assert brightness[1] < 0.6 * brightness[0]
    assert day.labels == night.labels


def test_the_labels_fit_a_contract() -> None:
    assert Contract(small().labels, 48, 64).names == tuple(label.name for label in LABELS)


# --- clip ---


def test_a_clip_moves_steadily() -> None:
    scenes = list(procedural_clip(24, (96, 128), seed=1))
    assert len(scenes) == 24
    for before, after in itertools.pairwise(scenes):
        assert np.mean(before.mask == after.mask) > 0.8  # no jump
        assert not np.array_equal(before.mask, after.mask)  # no standstill
    assert np.mean(scenes[0].mask == scenes[-1].mask) < 0.95


def test_instances_keep_their_number_and_their_class_and_move_little() -> None:
    scenes = list(procedural_clip(24, (96, 128), seed=1))
    classes: dict[int, int] = {}
    kept = moved = 0
    for before, after in itertools.pairwise(scenes):
        for instance in np.unique(before.instances)[1:]:
            first, second = before.instances == instance, after.instances == instance
            assert classes.setdefault(int(instance), int(before.mask[first][0])) == before.mask[first][0]
            if first.sum() > 60 and second.any():
                kept += 1
                rows, columns = (np.array(np.nonzero(where)).mean(1) for where in (first, second))
                moved += bool(np.abs(rows - columns).max() < 12)
    assert kept > 20
    assert moved == kept


def test_a_clip_is_deterministic_and_its_seeds_differ() -> None:
    first, again, other = ([scene.image for scene in procedural_clip(3, (48, 64), seed=seed)] for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_long_clip_stays_a_street() -> None:
    """The street is as long as the drive: at its end there is still traffic to see and no bare horizon."""
    for index, scene in enumerate(procedural_clip(450, (32, 48), seed=2)):
        if index >= 440:
            assert {SKY, ROAD, LANE, POLE} <= set(np.unique(scene.mask).tolist())
            assert (scene.mask == SIGN).any() or scene.instances.any()
            assert scene.instances.dtype == np.uint16


# --- spec ---


def test_a_spec_is_read() -> None:
    assert ProceduralSpec.parse("procedural") == ProceduralSpec(96, 128, 1000, 0, False)
    assert ProceduralSpec.parse("procedural:") == ProceduralSpec()
    assert ProceduralSpec.parse("procedural:360x480,n=40,seed=7,night") == ProceduralSpec(360, 480, 40, 7, True)
    assert ProceduralSpec.parse("procedural:night,n=5") == ProceduralSpec(n=5, night=True)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("procedural:96", "cannot read '96'; write it like procedural:"),
        ("procedural:n=x", "cannot read 'n=x'"),
        ("procedural:96x128x3", "cannot read '96x128x3'"),
        ("procedural:n=0", "n must be at least 1"),
        ("procedural:16x16", "height and width must be 32 to 4096"),
        ("procedural:96x9999", "height and width must be 32 to 4096"),
        ("elsewhere:96x128", "is not a procedural spec"),
    ],
)
def test_a_spec_that_cannot_be_read_says_what_is_wrong(spec: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        ProceduralSpec.parse(spec)


def test_splits_have_their_share() -> None:
    assert [len(small(split)) for split in SPLITS] == [80, 20, 20, 20]
    assert len(small("val", n=1)) == 1


def test_an_index_outside_is_an_index_error() -> None:
    for index in (-1, 20):
        with pytest.raises(IndexError):
            small("val").read(index)


def test_names_and_description() -> None:
    assert small("val").name(3) == "val_00003"
    assert small("val").description == "built-in street scenes (day, 48×64), val: 20 pictures, 10 classes"
