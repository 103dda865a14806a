from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeseg.data.base import IGNORE
from edgeseg.data.drawn import Drawn
from edgeseg.data.files import Pair, Size
from edgeseg.data.instances.truth import Objects, ShapeObjects
from edgeseg.data.polygons import box, fill
from tests.edgeseg.data.instances.objects import full
from tests.edgeseg.data.samples import rows

SIZE = (2, 6)


def shape(label: int, left: float, right: float, *, crowd: bool = False, group: str = "") -> Drawn:
    return Drawn(label, fill([box(left, 0, right, 1)], *SIZE), crowd, group)


@dataclass(frozen=True)
class Given:
    shapes: tuple[Drawn, ...]

    def __call__(self, pair: Pair, size: Size) -> tuple[Drawn, ...]:  # noqa: ARG002
        return self.shapes


def objects(*shapes: Drawn) -> Objects:
    """Class 0 is background; 1 and 2 are things."""
    return ShapeObjects(Given(shapes), {1: 0, 2: 1})(Pair(Path("a.png"), Path("a.json")), SIZE)


def test_each_shape_is_an_object_of_its_class_and_they_may_overlap() -> None:
    found = objects(shape(2, 0, 3), shape(1, 2, 4), shape(2, 5, 6))
    assert [each.label for each in found.instances] == [1, 0, 1]
    assert np.array_equal(full(found.instances[0].region, *SIZE), rows("111...", "......"))
    assert np.array_equal(full(found.instances[1].region, *SIZE), rows("..11..", "......"))
    assert [each.box for each in found.instances] == [(0, 0, 3, 1), (2, 0, 4, 1), (5, 0, 6, 1)]


def test_shapes_of_one_class_and_group_are_one_object() -> None:
    found = objects(shape(1, 0, 1, group="7"), shape(2, 2, 3, group="7"), shape(1, 4, 5, group="7"), shape(1, 5, 6))
    assert [each.label for each in found.instances] == [0, 1, 0]
    assert np.array_equal(full(found.instances[0].region, *SIZE), rows("1...1.", "......"))


def test_a_group_is_not_mistaken_for_a_shapes_place() -> None:
    assert len(objects(shape(1, 0, 1), shape(1, 2, 3, group="0")).instances) == 2


def test_background_shapes_are_no_objects() -> None:
    assert objects(shape(0, 0, 3)).instances == ()


def test_an_area_to_ignore_is_a_crowd_of_every_class() -> None:
    found = objects(shape(IGNORE, 1, 3))
    assert [(each.label, each.crowd, each.box) for each in found.instances] == [
        (0, True, (1, 0, 3, 1)),
        (1, True, (1, 0, 3, 1)),
    ]


def test_shapes_without_a_pixel_are_left_out_and_counted() -> None:
    found = objects(shape(1, 1.6, 2.4), shape(1, -9, -5), shape(2, 1.6, 2.4, crowd=True), shape(2, 0, 1))
    assert ([each.label for each in found.instances], found.empty) == ([1], 2)


def test_a_group_that_is_a_crowd_in_part_is_a_crowd() -> None:
    (found,) = objects(shape(1, 0, 1, group="a", crowd=True), shape(1, 2, 3, group="a")).instances
    assert found.crowd
