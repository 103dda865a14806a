"""Objects made unrecognisable: with masks of their own, and as a whole picture where those are not to be relied on."""

from __future__ import annotations

import time
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edgeseg_runtime.contract import Selection
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.events import Events
from edgeseg_runtime.instances.following import Follower, Following
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.privacy.background import Background
from edgeseg_runtime.privacy.blur import PrivacyBlur
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sources.base import Frame
from tests.runtime.instances.scripted import CAR, CONTRACT, PERSON, Thing, scripted

PICTURE: Image = np.random.default_rng(3).integers(0, 256, (120, 160, 3), np.uint8)
Inside = npt.NDArray[np.bool_]
PLACE = (40.0, 30.0, 80.0, 90.0)


def shot(result: InstanceResult, *, age: float | None = 0.0) -> Shot:
    now = time.monotonic()
    frame = Frame(0, PICTURE, now, None, "000000", "door")
    fresh = age == 0.0
    return Shot(frame, result, color_table(CONTRACT), 0.5, fresh=fresh, masked_at=None if age is None else now - age)


def changed(result: InstanceResult, **blur: float) -> Inside:
    """Which pixels the blur has changed; noise changes almost everywhere."""
    picture = PrivacyBlur(["person"], CONTRACT, **({"margin": 0.0} | blur))(shot(result), time.monotonic())  # type: ignore[arg-type]
    differs: Inside = (picture != PICTURE).any(axis=2)
    return differs


def box(place: tuple[float, float, float, float]) -> Inside:
    inside = np.zeros((120, 160), bool)
    left, top, right, bottom = map(int, place)
    inside[top:bottom, left:right] = True
    return inside


def almost_all(hidden: Inside, of: Inside) -> bool:
    return bool(hidden[of].mean() > 0.99)


def test_only_objects_of_the_class_are_hidden() -> None:
    hidden = changed(scripted([Thing(PLACE, PERSON), Thing((100.0, 30.0, 140.0, 90.0), CAR)]))
    assert almost_all(hidden, box(PLACE))
    assert not hidden[~box(PLACE)].any()


def test_where_there_is_no_object_nothing_is_hidden() -> None:
    assert not changed(scripted([])).any()


def test_a_surer_object_on_top_uncovers_nothing() -> None:
    """In the mask of classes the car has the pixels; the person is there all the same."""
    result = scripted([Thing(PLACE, CAR, 0.9), Thing(PLACE, PERSON, 0.6)])
    assert (result.mask[box(PLACE)] == CAR).all()
    assert almost_all(changed(result), box(PLACE))


@pytest.mark.parametrize("share", [0.0, 0.05])
def test_a_mask_that_failed_hides_the_whole_box(share: float) -> None:
    values = np.full((20, 20), -1, np.float32)
    values.ravel()[: round(share * 400)] = 1
    assert almost_all(changed(scripted([Thing(PLACE, PERSON, values=values)])), box(PLACE))


def test_a_mask_that_is_one_hides_its_own_pixels() -> None:
    values = np.where(np.arange(20)[:, None] < 10, 1, -1) * np.ones((1, 20))
    result = scripted([Thing(PLACE, PERSON, values=values.astype(np.float32))])
    upper = box((40, 30, 80, 59))
    hidden = changed(result)
    assert almost_all(hidden, upper)
    assert not hidden[box((40, 62, 80, 90))].any()


def test_the_margin_grows_around_objects() -> None:
    hidden = changed(scripted([Thing(PLACE, PERSON)]), margin=0.05)
    assert almost_all(hidden, cv2.dilate(box(PLACE).astype(np.uint8), np.ones((13, 13), np.uint8)) > 0)


@pytest.mark.parametrize(
    "case", ["too many", "too many at first", "no mask", "too old", "broken", "unknown class", "other size"]
)
def test_in_doubt_the_whole_picture_is_hidden(case: str) -> None:
    result, age = scripted([Thing((0.0, 0.0, 10.0, 10.0), CAR)]), 0.0
    if case == "too many":  # the model may have left people out
        contract = replace(CONTRACT, selection=Selection((0.5, 0.5), limit=1))
        result = scripted([Thing((0.0, 0.0, 10.0, 10.0), CAR)], contract=contract)
    elif case == "too many at first":  # before a follower left out those that are unsure
        contract = replace(CONTRACT, selection=Selection((0.5, 0.5), limit=2))
        both = [Thing((0.0, 0.0, 10.0, 10.0), CAR), Thing((20.0, 0.0, 30.0, 10.0), CAR, 0.2)]
        followed = Follower("", Events(), Following())(scripted(both, contract=contract), 0.0)
        assert isinstance(followed, InstanceResult) and len(followed) == 1
        result = followed
    elif case == "no mask":
        age = None  # type: ignore[assignment]
    elif case == "too old":
        age = 0.5
    elif case == "broken":
        result = replace(result, patches=())
    elif case == "unknown class":
        labels = (CONTRACT.labels[0], replace(CONTRACT.labels[1], name="human"))
        result = scripted([], contract=replace(CONTRACT, labels=labels))
    else:
        result = scripted([], 60, 80)
    blur = PrivacyBlur(["person"], CONTRACT)
    picture = blur(shot(result, age=age), time.monotonic())
    assert blur.closed_because is not None
    assert (picture != PICTURE).any(axis=2).mean() > 0.99
    # the control: the same object without the doubt hides nothing
    sound = blur(shot(scripted([Thing((0.0, 0.0, 10.0, 10.0), CAR)])), time.monotonic())
    assert blur.closed_because is None and (sound == PICTURE).all()


def test_of_the_background_only_what_is_surely_an_object_of_the_class_is_kept() -> None:
    keep = Background(["person"], CONTRACT, (0, 0, 0), feather=0.0)
    covered = scripted([Thing(PLACE, PERSON, 0.9), Thing((60.0, 30.0, 80.0, 90.0), CAR, 0.95)][::-1])
    picture = keep(shot(covered), time.monotonic())
    kept = (picture == PICTURE).all(axis=2)
    assert kept[box((40, 30, 60, 90))].all()
    assert not kept[~box((40, 30, 60, 90))].any()
