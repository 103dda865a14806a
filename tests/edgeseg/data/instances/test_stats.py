from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeseg.data.base import BadFileError
from edgeseg.data.files import Problem
from edgeseg.data.instances.base import Instance, InstanceSample
from edgeseg.data.instances.stats import BOUNDS, SIZES, count, size_of
from edgeseg_runtime.contract import Label
from edgeseg_runtime.instances.region import Region


class Given:
    labels = (Label("cat", (1, 1, 1)), Label("dog", (2, 2, 2)))
    description = "given"

    def __init__(self, *pictures: list[Instance] | None) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def name(self, index: int) -> str:
        return str(index)

    def read(self, index: int) -> InstanceSample:
        objects = self.pictures[index]
        if objects is None:
            raise BadFileError(Path("x.png"), "is bad")
        return InstanceSample(np.zeros((200, 100 + index // 3, 3), np.uint8), tuple(objects))


def square(label: int, side: int, *, crowd: bool = False) -> Instance:
    return Instance(label, Region(0, 0, np.ones((side, side), np.bool_)), crowd)


def test_objects_are_counted_by_class_and_size() -> None:
    data = Given([square(0, 5), square(1, 40), square(1, 99)], [], None, [square(1, 5), square(0, 99, crowd=True)])
    found = count(data, (Problem(Path("a.json"), "has no picture"),))
    assert found.objects.tolist() == [[1, 0, 0], [1, 1, 1]]
    assert found.present == (1, 2) and found.in_a_picture == (0, 1, 3) and found.crowds == 1
    assert found.sizes == {(200, 100): 2, (200, 101): 1}
    assert [problem.path.name for problem in found.problems] == ["a.json", "x.png"]
    answer = found.as_dict(("cat", "dog"))
    assert answer["classes"][1] == {"name": "dog", "objects": 3, "small": 1, "medium": 1, "large": 1, "pictures": 2}
    assert answer["objects_in_a_picture"] == {0: 1, 1: 1, 3: 1} and answer["objects"] == 4


@pytest.mark.parametrize(
    ("area", "size"), [(1, "small"), (1023, "small"), (1024, "medium"), (9215, "medium"), (9216, "large")]
)
def test_sizes_are_cocos(area: int, size: str) -> None:
    assert SIZES[size_of(area)] == size
    assert BOUNDS == (1024, 9216)
