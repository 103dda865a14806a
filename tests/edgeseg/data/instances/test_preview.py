from __future__ import annotations

import numpy as np
import pytest

from edgeseg.data.instances.base import Instance, InstanceSample
from edgeseg.data.instances.preview import draw, page
from edgeseg_runtime.contract import Label
from edgeseg_runtime.instances.region import Region

LABELS = (Label("cat", (250, 0, 0)), Label("dög", (0, 0, 250)))


def sample(*instances: Instance, height: int = 240, width: int = 320) -> InstanceSample:
    return InstanceSample(np.full((height, width, 3), 100, np.uint8), instances)


def square(label: int, top: int, left: int, side: int, *, crowd: bool = False) -> Instance:
    return Instance(label, Region(top, left, np.ones((side, side), np.bool_)), crowd)


def test_objects_are_tinted_and_outlined_and_the_rest_is_left() -> None:
    drawn = draw(sample(square(0, 50, 60, 80), square(0, 150, 200, 60)), LABELS, 240)
    assert drawn.shape == (240, 320, 3)
    first, second = drawn[110, 100], drawn[190, 230]
    for inside in (first, second):
        assert inside[2] > 100 > inside[0]  # towards red
    assert (first != second).any()  # objects of one class are told apart
    rim = drawn[129, 70:130].astype(int)
    assert (rim == rim[0]).all() and rim[0, 2] > first[2]
    assert (drawn[:50] == 100).all() and (drawn[130:150] == 100).all()


def test_small_objects_lie_on_large_ones_and_crowds_below() -> None:
    drawn = draw(sample(square(1, 90, 90, 40), square(0, 50, 50, 120), square(1, 0, 0, 230, crowd=True)), LABELS, 240)
    assert drawn[118, 110, 0] > drawn[118, 110, 2]  # blue dog
    assert drawn[160, 160, 2] > drawn[160, 160, 0]  # red cat
    assert {tuple(pixel) for pixel in drawn[200:229, 10:200].reshape(-1, 3).tolist()} == {(50,) * 3, (140,) * 3}


def test_a_page_has_the_legend_of_what_is_seen() -> None:
    drawn = page([("one", sample(square(0, 9, 9, 99))), ("none", sample())], LABELS)
    assert drawn.shape[1] == 2 * 328
    assert (drawn == (0, 0, 250)).all(axis=2).any()
    assert not (drawn == (250, 0, 0)).all(axis=2).any()
    with_crowd = page([("one", sample(square(1, 9, 9, 99, crowd=True)))], LABELS)
    assert not (with_crowd == (250, 0, 0)).all(axis=2).any()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 900), (900, 2), (3000, 10)])
def test_odd_sizes_fit(height: int, width: int) -> None:
    tiny = Instance(1, Region(0, 0, np.ones((1, 1), np.bool_)))
    assert page([("odd", sample(tiny, height=height, width=width))], LABELS).shape[1] == 328
