from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeseg.data.ade20k import LABELS
from edgeseg.data.base import IGNORE
from edgeseg.data.open import open_data, splits
from tests.edgeseg.data.samples import masks, refusal, write_mask, write_picture

VALUES = np.arange(151).reshape(1, 151)


def put(home: Path) -> None:
    for folder, name in (("training", "ADE_train_00000001"), ("validation", "ADE_val_00000001")):
        write_picture(home / f"images/{folder}/{name}.jpg", *VALUES.shape)
        write_mask(home / f"annotations/{folder}/{name}.png", VALUES)


@pytest.mark.parametrize("inside", [".", "ADEChallengeData2016"])
def test_0_is_ignored_and_1_to_150_are_the_classes(inside: str, tmp_path: Path) -> None:
    put(tmp_path / inside)
    assert splits(str(tmp_path)) == ("train", "val")
    for split in ("train", "val"):
        (mask,) = masks(tmp_path, split).values()
        assert mask[0].tolist() == [IGNORE, *range(150)]
    assert open_data(str(tmp_path), "val").description == "ADE20K, 150 classes, val: 1 pictures, 150 classes"


def test_the_table() -> None:
    names = [label.name for label in LABELS]
    assert len(set(names)) == 150
    # numbers as its makers' table has them, from 1
    expected = {1: "wall", 13: "person", 21: "car", 90: "television", 128: "bicycle", 150: "flag"}
    assert {number: names[number - 1] for number in expected} == expected
    assert LABELS[0].color == (120, 120, 120)
    assert LABELS[149].color == (92, 0, 255)


def test_bad_files(tmp_path: Path) -> None:
    put(tmp_path)
    write_mask(tmp_path / "annotations/training/ADE_train_00000001.png", VALUES + 1)
    assert "ADE_train_00000001.png: label outside the class table: 151 (1 px)" in refusal(tmp_path, "train")
    assert "the split 'test' has no public truth" in refusal(tmp_path, "test")
