from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from edgeseg.data.base import IGNORE
from edgeseg.data.camvid import COLORS, GROUPS, LABELS, split_of
from edgeseg.data.open import open_data, splits
from edgeseg_runtime.errors import DatasetError

if TYPE_CHECKING:
    from tests.edgeseg.data.conftest import WritePair

NAMES = ["Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist"]


def names(spec: Path, split: str) -> list[str]:
    data = open_data(str(spec), split)
    return [data.name(index) for index in range(len(data))]


def color_mask(*classes: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Columns of CamVid colours, in B, G, R, as 12×16."""
    columns = [COLORS[classes[column % len(classes)]][::-1] for column in range(16)]
    return np.tile(np.array(columns, np.uint8), (12, 1, 1))


def test_segnet_folders(tmp_path: Path, write_pair: WritePair) -> None:
    write_pair(tmp_path / "train/0001TP_b.jpg", tmp_path / "trainannot/0001TP_b.png", np.arange(16) % 12)
    write_pair(tmp_path / "train/0001TP_a.png", tmp_path / "trainannot/0001TP_a.png")
    write_pair(tmp_path / "val/0001TP_c.png", tmp_path / "valannot/0001TP_c.png")
    assert splits(str(tmp_path)) == ("train", "val")
    assert names(tmp_path, "train") == ["0001TP_a", "0001TP_b"]
    data = open_data(str(tmp_path), "train")
    assert [label.name for label in data.labels] == NAMES
    assert data.read(1).mask[0].tolist() == [*range(11), IGNORE, 0, 1, 2, 3]
    assert data.description.startswith("CamVid, SegNet folders, train: 2 pictures, 11 classes")


def test_segnet_lists_with_the_published_paths(tmp_path: Path, write_pair: WritePair) -> None:
    write_pair(tmp_path / "pictures/0001TP_a.jpg", tmp_path / "truth/0001TP_a.png")
    write_pair(tmp_path / "pictures/0001TP_b.png", tmp_path / "truth/0001TP_b.png")
    (tmp_path / "train.txt").write_text("/SegNet/CamVid/pictures/0001TP_a.png /SegNet/CamVid/truth/0001TP_a.png\n")
    (tmp_path / "val.txt").write_text("pictures/0001TP_b.png truth/0001TP_b.png\n\n")
    assert names(tmp_path, "train") == ["0001TP_a"]  # the list says .png, the file is a .jpg
    assert names(tmp_path, "val") == ["0001TP_b"]


def test_a_listed_file_that_is_not_there_is_a_bad_file(tmp_path: Path, write_pair: WritePair) -> None:
    write_pair(tmp_path / "p/0001TP_a.png", tmp_path / "m/0001TP_a.png")
    (tmp_path / "train.txt").write_text("p/0001TP_a.png m/0001TP_a.png\np/0001TP_b.png m/0001TP_b.png\n")
    with pytest.raises(DatasetError, match=r"1 bad file .*\n  .*p/0001TP_b\.png: is listed, but not there"):
        open_data(str(tmp_path), "train")
    assert len(open_data(str(tmp_path), "train", skip_bad=True)) == 1


@pytest.mark.parametrize("folders", [("701_StillsRaw_full", "LabeledApproved_full"), ("images", "labels")])
def test_the_original_form(folders: tuple[str, str], tmp_path: Path, write_pair: WritePair) -> None:
    images, masks = tmp_path / folders[0], tmp_path / folders[1]
    stems = ("0001TP_006690", "0001TP_008550", "0006R0_f00930", "0016E5_07959", "0016E5_08370", "Seq05VD_f00000")
    for stem in stems:
        write_pair(images / f"{stem}.png", masks / f"{stem}_L.png", color_mask("Archway", "SUVPickupTruck", "Void"))
    assert names(tmp_path, "train") == ["0001TP_006690", "0006R0_f00930", "0016E5_08370"]
    assert names(tmp_path, "val") == ["0016E5_07959"]
    assert names(tmp_path, "test") == ["0001TP_008550", "Seq05VD_f00000"]
    mask = open_data(str(tmp_path), "val").read(0).mask
    assert mask[0, :3].tolist() == [NAMES.index("Building"), NAMES.index("Car"), IGNORE]


def test_every_original_class_is_in_one_group(tmp_path: Path, write_pair: WritePair) -> None:
    grouped = [name for group in GROUPS.values() for name in group]
    assert len(COLORS) == 32 == len(set(COLORS.values()))
    assert sorted([*grouped, "Void"]) == sorted(COLORS)
    assert [label.name for label in LABELS] == NAMES == list(GROUPS)
    for half in (sorted(COLORS)[:16], sorted(COLORS)[16:]):
        write_pair(tmp_path / "images/0016E5_08001.png", tmp_path / "labels/0016E5_08001_L.png", color_mask(*half))
        mask = open_data(str(tmp_path), "val").read(0).mask[0]
        for name, value in zip(half, mask, strict=True):
            assert value == IGNORE if name == "Void" else name in GROUPS[NAMES[value]]


def test_a_table_with_foreign_classes_is_not_camvid(tmp_path: Path, write_pair: WritePair) -> None:
    write_pair(tmp_path / "images/a.png", tmp_path / "labels/a_L.png", color_mask("Road"))
    (tmp_path / "label_colors.txt").write_text("128 64 128 Moon\n")
    with pytest.raises(DatasetError, match=r"label_colors\.txt: 'Moon' is not a CamVid class"):
        open_data(str(tmp_path), "train")


def test_a_class_table_makes_it_a_folder_of_its_own(tmp_path: Path, write_pair: WritePair) -> None:
    write_pair(tmp_path / "train/a.png", tmp_path / "trainannot/a.png")
    (tmp_path / "classes.txt").write_text("x\ny\nz\n")
    assert [label.name for label in open_data(str(tmp_path), "train").labels] == ["x", "y", "z"]


@pytest.mark.realdata
@pytest.mark.parametrize(("split", "count"), [("train", 367), ("val", 101)])
def test_the_real_thing(split: str, count: int, real_data: Path) -> None:
    data = open_data(str(real_data / "camvid"), split)
    assert len(data) == count
    assert data.description == f"CamVid, SegNet folders, {split}: {count} pictures, 11 classes"
    assert all(split_of(data.name(index)) == split for index in range(count))
    for index in (0, count - 1):
        sample = data.read(index)
        with Image.open(real_data / f"camvid/{split}annot/{data.name(index)}.png") as stored:
            expected = np.asarray(stored)
        assert np.array_equal(sample.mask, np.where(expected == 11, IGNORE, expected))
        assert sample.image.shape == (360, 480, 3)
