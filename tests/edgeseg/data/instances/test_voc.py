from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeseg.data.instances.open import open_instances, splits
from edgeseg_runtime.errors import DatasetError
from tests.edgeseg.data.instances.objects import drawn, refusal
from tests.edgeseg.data.samples import rows, write, write_mask, write_picture

CLASSES = rows("0xaaax", "0xaabx", "00x00b", a=15, b=7)  # person, car
OBJECTS = rows("0x112x", "0x112x", "00x003")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    home = tmp_path / "VOC2012"
    for name in ("2007_000001", "2007_000002"):
        write_picture(home / f"JPEGImages/{name}.jpg", *CLASSES.shape)
        write_mask(home / f"SegmentationClass/{name}.png", CLASSES)
        write_mask(home / f"SegmentationObject/{name}.png", OBJECTS)
    write(home / "ImageSets/Segmentation/train.txt", "2007_000001\n")
    write(home / "ImageSets/Segmentation/val.txt", "2007_000002\n")
    write(home / "ImageSets/Segmentation/test.txt", "2007_000009\n")
    return tmp_path


def test_numbers_say_which_and_class_masks_say_what(root: Path) -> None:
    data = open_instances(str(root), "train")
    assert len(data.labels) == 20 and data.labels[0].name == "aeroplane"
    assert splits(str(root)) == ("train", "val")
    people, half, car = drawn(data.read(0))
    assert [data.labels[label].name for label, _ in (people, half, car)] == ["person", "car", "car"]
    for number, (_, mask) in enumerate((people, half, car), 1):
        assert np.array_equal(mask, number == OBJECTS)  # borders, 255, are of nobody
    assert data.description.startswith("Pascal VOC2012 objects, train: 1 picture, 3 objects, 20 classes; no object of")


def test_the_majority_decides(root: Path) -> None:
    classes = rows("aab", "abb", "0bx", a=15, b=7)
    write_picture(root / "VOC2012/JPEGImages/2007_000001.jpg", 3, 3)
    write_mask(root / "VOC2012/SegmentationClass/2007_000001.png", classes)
    write_mask(root / "VOC2012/SegmentationObject/2007_000001.png", np.ones((3, 3)))
    data = open_instances(str(root), "train")
    ((label, mask),) = drawn(data.read(0))
    assert data.labels[label].name == "car" and mask.all()


def test_objects_without_a_class_or_a_file(root: Path) -> None:
    write_mask(root / "VOC2012/SegmentationClass/2007_000001.png", np.zeros(CLASSES.shape))
    said = refusal(root, "train")
    assert "SegmentationObject/2007_000001.png: object 1 has no pixel of a class in SegmentationClass" in said
    (root / "VOC2012/SegmentationObject/2007_000002.png").unlink()
    assert "2007_000002.jpg: has no mask in" in refusal(root, "val")
    with pytest.raises(DatasetError, match="the split 'test' has no public truth"):
        open_instances(str(root), "test")


def test_without_object_masks_there_are_only_classes(root: Path) -> None:
    for path in (root / "VOC2012/SegmentationObject").iterdir():
        path.unlink()
    (root / "VOC2012/SegmentationObject").rmdir()
    said = refusal(root, "train")
    assert said.startswith(f"{root} was recognised as Pascal VOC2012, which tells classes apart, but not objects")
