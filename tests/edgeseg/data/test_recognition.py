"""Sets of one's own that are laid out like well-known ones are not taken for those."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgeseg.data.open import open_data, recognise
from edgeseg_runtime.errors import DatasetError

if TYPE_CHECKING:
    from tests.edgeseg.data.conftest import WritePair


@pytest.mark.parametrize(
    ("picture", "mask", "format", "title"),
    [
        ("images/training/{}.png", "annotations/training/{}.png", "ade20k", "ADE20K"),
        ("train/{}.png", "trainannot/{}.png", "camvid", "CamVid"),
        ("images/{}.png", "labels/{}.png", "camvid", "CamVid"),
        ("JPEGImages/{}.jpg", "SegmentationClass/{}.png", "voc", "Pascal VOC"),
    ],
)
def test_a_layout_alone_is_no_well_known_set(
    picture: str, mask: str, format: str, title: str, tmp_path: Path, write_pair: WritePair
) -> None:
    write_pair(tmp_path / picture.format("vessel_1"), tmp_path / mask.format("vessel_1"), [0, 1] * 8)
    if picture.startswith("images/{"):
        (tmp_path / "train.txt").write_text("images/vessel_1.png labels/vessel_1.png\n")
    if format == "voc":
        (tmp_path / "ImageSets/Segmentation").mkdir(parents=True)
        (tmp_path / "ImageSets/Segmentation/train.txt").write_text("vessel_1\n")
    (tmp_path / "class_names.txt").write_text("back\nvessel\n")
    found = recognise(str(tmp_path))
    assert [label.name for label in found.labels] == ["back", "vessel"] and found.title.startswith("folder")
    (tmp_path / "class_names.txt").unlink()
    with pytest.raises(DatasetError, match=f"is laid out like {title}.*: if it is that, --format {format}"):
        recognise(str(tmp_path))
    assert recognise(str(tmp_path), format).title.startswith(title)


def test_labelmes_converter_is_read_by_its_names(tmp_path: Path, write_pair: WritePair) -> None:
    write_pair(tmp_path / "JPEGImages/a.jpg", tmp_path / "SegmentationClass/a.png", [0, 1, 2, 255] * 4)
    (tmp_path / "class_names.txt").write_text("__ignore__\n_background_\ncrack\nrust\n")
    data = open_data(str(tmp_path), "all")
    assert [label.name for label in data.labels] == ["_background_", "crack", "rust"]
    assert data.read(0).mask[0, :4].tolist() == [0, 1, 2, 255]


def test_a_spare_table_does_not_clash_with_a_real_one(tmp_path: Path, write_pair: WritePair) -> None:
    write_pair(tmp_path / "images/a.png", tmp_path / "masks/a.png", [0, 1] * 8)
    (tmp_path / "labels.txt").write_text("masks/a.png\n")
    (tmp_path / "classes.txt").write_text("road\nsky\n")
    assert [label.name for label in open_data(str(tmp_path), "all").labels] == ["road", "sky"]


def test_spaces_in_names_make_no_list_of_pairs(tmp_path: Path, write_pair: WritePair) -> None:
    write_pair(tmp_path / "images/train/IMG 0.jpg", tmp_path / "unused.png")
    (tmp_path / "labels/train").mkdir(parents=True)
    (tmp_path / "labels/train/IMG 0.txt").write_text("0 0.1 0.1 0.9 0.1 0.9 0.9\n")
    (tmp_path / "train.txt").write_text("./images/train/IMG 0.jpg\n")
    (tmp_path / "data.yaml").write_text("train: train.txt\nnames: [thing]\n")
    assert recognise(str(tmp_path)).title == "YOLO segmentation"
