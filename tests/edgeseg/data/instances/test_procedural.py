from __future__ import annotations

import pickle

import numpy as np
import pytest

from edgeseg.data.instances.open import open_instances, splits
from edgeseg.data.instances.procedural import ProceduralObjects
from edgeseg.data.procedural import SPLITS, ProceduralData, ProceduralSpec
from edgeseg.data.scene import CAR, PERSON
from edgeseg_runtime.errors import DatasetError
from tests.edgeseg.data.instances.objects import full

SPEC = ProceduralSpec(64, 96, n=8)


def test_objects_are_the_scenes_cars_and_people() -> None:
    data, scenes = ProceduralObjects(SPEC, "val"), ProceduralData(SPEC, "val")
    assert [label.name for label in data.labels] == ["car", "person"]
    assert len(data) == len(scenes) and data.name(1) == scenes.name(1)
    seen = 0
    for index in range(len(data)):
        sample, scene = data.read(index), scenes.scene(index)
        assert np.array_equal(sample.image, scene.image)
        painted = np.zeros((64, 96), np.int64)
        for each in sample.instances:
            mask = full(each.region, 64, 96)
            (number,) = np.unique(scene.instances[mask])
            assert np.array_equal(mask, scene.instances == number)
            assert (scene.mask[mask] == (CAR, PERSON)[each.label]).all()
            painted += mask
        assert painted.max() <= 1  # what is hidden belongs to what hides it
        assert np.array_equal(painted == 1, np.isin(scene.mask, (CAR, PERSON)))
        seen += len(sample.instances)
    assert seen > 10


def test_the_same_scene_every_time_and_in_a_worker() -> None:
    data = ProceduralObjects(SPEC, "train")
    one, two = data.read(3), pickle.loads(pickle.dumps(data)).read(3)
    assert [each.box for each in one.instances] == [each.box for each in two.instances]


def test_it_is_opened_by_name() -> None:
    data = open_instances("procedural:48x64,n=4,night", "val")
    assert (len(data), data.read(0).image.shape) == (1, (48, 64, 3))
    assert data.description == "built-in street scenes (night, 48×64), val: 1 pictures, objects of 2 classes"
    assert splits("procedural:48x64") == tuple(SPLITS)
    with pytest.raises(DatasetError, match="procedural has no split 'tset'"):
        open_instances("procedural", "tset")
