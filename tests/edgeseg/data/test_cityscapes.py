from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edgeseg.data.base import IGNORE
from edgeseg.data.cityscapes import LABELS
from edgeseg.data.open import open_data, splits
from tests.edgeseg.data.samples import masks, refusal, rows, write_mask, write_picture

PICTURE = "leftImg8bit/{split}/{city}/{city}_000000_000019_leftImg8bit.png"
MASK = "gtFine/{split}/{city}/{city}_000000_000019_gtFine_{kind}.png"
IDS = np.arange(34).reshape(2, 17)


def put(root: Path, split: str, city: str, values: npt.NDArray[np.integer[Any]] = IDS, kind: str = "labelIds") -> None:
    height, width = np.shape(values)[:2]
    write_picture(root / PICTURE.format(split=split, city=city), height, width)
    write_mask(root / MASK.format(split=split, city=city, kind=kind), values)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put(tmp_path, "train", "aachen")
    put(tmp_path, "train", "ulm")
    put(tmp_path, "val", "lindau")
    return tmp_path


def test_label_ids_become_train_ids(root: Path) -> None:
    found = masks(root, "train")
    assert list(found) == ["aachen_000000_000019_leftImg8bit", "ulm_000000_000019_leftImg8bit"]
    datasets = pytest.importorskip("torchvision.datasets")
    table = {c.id: c.train_id if c.train_id < 19 else IGNORE for c in datasets.Cityscapes.classes}
    expected = np.vectorize(lambda label: table[label] if table[label] >= 0 else IGNORE)(IDS)
    for mask in found.values():
        assert np.array_equal(mask, expected)
    known = [(c.name, tuple(c.color)) for c in datasets.Cityscapes.classes if 0 <= c.train_id < 19]
    assert [(label.name, label.color) for label in LABELS] == known


def test_the_pairs_are_those_of_torchvision(root: Path) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    reference = datasets.Cityscapes(str(root), split="train", mode="fine", target_type="semantic")
    data = open_data(str(root), "train")
    found = {data.name(index): data.read(index).mask for index in range(len(data))}
    assert len(reference) == len(found)
    for path in reference.images:
        assert Path(path).stem in found


def test_train_ids_where_label_ids_are_missing(tmp_path: Path) -> None:
    put(tmp_path, "train", "ulm", rows("0187", "x..x"), "labelTrainIds")
    assert np.array_equal(masks(tmp_path, "train")["ulm_000000_000019_leftImg8bit"], rows("0187", "x..x"))
    assert open_data(str(tmp_path), "train").description.startswith("Cityscapes fine, labelTrainIds")


@pytest.mark.parametrize("blank", [True, False])
def test_the_test_split_says_that_its_truth_is_not_public(blank: bool, root: Path) -> None:
    write_picture(root / PICTURE.format(split="test", city="berlin"), 2, 17)
    if blank:  # what the makers give out: all unlabelled, or outside what is scored
        write_mask(root / MASK.format(split="test", city="berlin", kind="labelIds"), IDS % 7)
    assert splits(str(root)) == ("train", "val")
    assert "the split 'test' has no public truth: its makers score results on their server" in refusal(root, "test")


def test_a_test_split_of_ones_own(root: Path) -> None:
    put(root, "test", "berlin")
    assert len(open_data(str(root), "test")) == 1


def test_bad_files(root: Path) -> None:
    put(root, "train", "bonn", IDS + 1)
    (root / MASK.format(split="train", city="ulm", kind="labelIds")).unlink()
    write_mask(root / MASK.format(split="train", city="aachen", kind="labelIds").replace("019", "020"), IDS)
    said = refusal(root, "train")
    assert "3 bad files" in said
    assert "bonn_000000_000019_gtFine_labelIds.png: label outside the class table: 34 (1 px)" in said
    assert "ulm_000000_000019_leftImg8bit.png: has no mask ulm_000000_000019_gtFine_labelIds.png in" in said
    assert "aachen_000000_000020_gtFine_labelIds.png: has no picture in" in said
