from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from PIL import Image

from edgeseg.data.base import IGNORE
from edgeseg.data.open import open_data, splits
from edgeseg_runtime.contract import voc_color
from edgeseg_runtime.errors import DatasetError

if TYPE_CHECKING:
    from tests.edgeseg.data.conftest import WritePair

VOC = [
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "classes.txt").write_text("road\ncar\npost\n")
    return tmp_path


def names(spec: Path, split: str) -> list[str]:
    data = open_data(str(spec), split)
    return [data.name(index) for index in range(len(data))]


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("images/{split}", "masks/{split}"),
        ("images/{split}", "labels/{split}"),
        ("{split}/images", "{split}/masks"),
        ("{split}/JPEGImages", "{split}/SegmentationClass"),
        ("{split}", "{split}annot"),
    ],
)
def test_split_folders(images: str, masks: str, root: Path, write_pair: WritePair) -> None:
    for split, stem in (("train", "a"), ("train", "b.left"), ("test", "c")):
        folders = root / images.format(split=split), root / masks.format(split=split)
        truth = write_pair(folders[0] / f"{stem}.jpg", folders[1] / f"{stem}.png")
    (folders[0] / ".DS_Store.jpg").write_bytes(b"droppings")
    assert splits(str(root)) == ("train", "test")
    assert names(root, "train") == ["a", "b.left"]
    data = open_data(str(root), "test")
    assert np.array_equal(data.read(0).mask, truth)
    assert data.read(0).image.shape == (*truth.shape, 3)
    assert [label.name for label in data.labels] == ["road", "car", "post"]


@pytest.mark.parametrize(("train", "val"), [("Train", "Val"), ("training", "validation"), ("train", "valid")])
def test_what_people_call_splits(train: str, val: str, root: Path, write_pair: WritePair) -> None:
    for name in (train, val):
        write_pair(root / f"images/{name}/a.jpg", root / f"masks/{name}/a.png")
    assert splits(str(root)) == ("train", "val")
    write_pair(root / f"images/{val}uation/a.jpg", root / f"masks/{val}uation/a.png")  # no name that is known
    assert splits(str(root)) == ("train", "val")
    write_pair(root / "images/VALID/a.jpg", root / "masks/VALID/a.png")
    with pytest.raises(DatasetError, match="both for the split val: keep one"):
        splits(str(root))


def test_what_has_no_partner_is_told_of(root: Path, write_pair: WritePair) -> None:
    for stem in ("a", "b"):
        write_pair(root / f"images/train/{stem}.jpg", root / f"masks/train/{stem}.png")
    write_pair(root / "images/val/a.jpg", root / "images/test/a.jpg")
    with pytest.raises(DatasetError, match=r"images/val: there is no folder of its masks"):
        open_data(str(root), "val")
    with pytest.raises(DatasetError, match=r"the split 'test' is not there"):  # pictures to predict, as a rule
        open_data(str(root), "test")
    shutil.copy(root / "images/train/a.jpg", root / "images/train/a.jpeg")
    shutil.copy(root / "masks/train/b.png", root / "masks/train/b.bmp")
    write_pair(root / "images/train/deep/c.jpg", root / "masks/train/deep/c.png")
    with pytest.raises(DatasetError) as caught:
        open_data(str(root), "train")
    said = str(caught.value)
    assert "3 bad files" in said
    assert "a.jpg: has the same name as a.jpeg: keep one" in said
    assert "b.png: has the same name as b.bmp: keep one" in said
    assert "images/train/deep: its pictures are not read" in said


def test_pairs_in_no_splits_folder_are_told_of(root: Path, write_pair: WritePair) -> None:
    for split in ("train", "val"):
        write_pair(root / f"images/{split}/a.jpg", root / f"masks/{split}/a.png")
    shutil.copy(root / "images/train/a.jpg", root / "images/cover.jpg")  # no mask: somebody's picture of the set
    assert names(root, "train") == ["a"]
    for stem in ("b", "c"):
        write_pair(root / f"images/{stem}.jpg", root / f"masks/{stem}.png")
    with pytest.raises(
        DatasetError, match=r"images: 2 of its pictures with masks lie in no split's folder, b\.jpg first"
    ):
        open_data(str(root), "train")
    assert names(root, "val") == ["a"]


def test_a_flat_folder_is_one_split(root: Path, write_pair: WritePair) -> None:
    write_pair(root / "images/a.png", root / "masks/a.png")
    assert splits(str(root)) == ("all",)
    assert names(root, "all") == ["a"]
    with pytest.raises(DatasetError, match="the split 'train' is not there; splits that hold pictures: all"):
        open_data(str(root), "train")


@pytest.mark.parametrize("where", [".", "ImageSets/Segmentation"])
def test_a_flat_folder_divided_by_lists(where: str, root: Path, write_pair: WritePair) -> None:
    for stem in ("a", "b.1", "c", "unlisted"):
        write_pair(root / f"images/{stem}.jpg", root / f"masks/{stem}.png")
    (root / where).mkdir(parents=True, exist_ok=True)
    (root / where / "train.txt").write_text("b.1\na.jpg 1\n\n")
    (root / where / "val.txt").write_text("images/c.jpg\nnobody\n")
    assert names(root, "train") == ["a", "b.1"]
    with pytest.raises(DatasetError, match=r"1 bad file .*\n  .*images/nobody: is listed, but there is no such"):
        open_data(str(root), "val")
    assert len(open_data(str(root), "val", skip_bad=True)) == 1


def test_lists_in_other_spellings(root: Path, write_pair: WritePair) -> None:
    for stem in ("a", "my pic 1", "c"):
        write_pair(root / f"images/{stem}.jpg", root / f"masks/{stem}.png")
    (root / "Train.txt").write_text("my pic 1.jpg\nimages\\a.jpg masks\\a.png\n")
    (root / "Validation.txt").write_text("c 0.5\n")
    assert splits(str(root)) == ("train", "val")
    assert names(root, "train") == ["a", "my pic 1"]
    assert names(root, "val") == ["c"]
    (root / "val.txt").write_text("a\n")  # the very name of a split
    assert names(root, "val") == ["a"]
    (root / "training.txt").write_text("what was learnt, and when\n")
    with pytest.raises(DatasetError, match=r"has Train\.txt and training\.txt, both for the split train: keep one"):
        splits(str(root))


def test_colour_masks(tmp_path: Path, write_pair: WritePair) -> None:
    (tmp_path / "classes.csv").write_text("name,r,g,b\nroad,10,20,30\nvoid,0,0,0\ncar,200,0,0\n")
    row = np.array([[30, 20, 10], [0, 0, 0], [0, 0, 200], [0, 0, 200]] * 4, np.uint8)
    write_pair(tmp_path / "images/a.png", tmp_path / "masks/a.png", np.tile(row, (12, 1, 1)))
    data = open_data(str(tmp_path), "all")
    assert data.read(0).mask[0, :4].tolist() == [0, IGNORE, 1, 1]
    assert [label.color for label in data.labels] == [(10, 20, 30), (200, 0, 0)]


def test_numbers_given_by_the_table(tmp_path: Path, write_pair: WritePair) -> None:
    (tmp_path / "classes.csv").write_text("name,index\nperson,255\nbackground,0\n")
    write_pair(tmp_path / "images/a.png", tmp_path / "masks/a.png", [0, 255] * 8)
    assert open_data(str(tmp_path), "all").read(0).mask[0, :2].tolist() == [1, 0]


def test_masks_of_0_and_255_are_told_of_as_a_class_without_pixels(tmp_path: Path, write_pair: WritePair) -> None:
    (tmp_path / "classes.txt").write_text("background\nperson\n")
    write_pair(tmp_path / "images/a.png", tmp_path / "masks/a.png", [0, 255] * 8)
    assert open_data(str(tmp_path), "all").description.endswith("1 pictures, 2 classes; no pixel of person")


def test_a_folder_without_class_table(tmp_path: Path, write_pair: WritePair) -> None:
    write_pair(tmp_path / "images/a.png", tmp_path / "masks/a.png")
    with pytest.raises(DatasetError, match=r"holds pictures and masks but no class table; add one of classes\.csv"):
        open_data(str(tmp_path), "all")


def test_two_mask_folders(root: Path, write_pair: WritePair) -> None:
    write_pair(root / "images/a.png", root / "masks/a.png")
    (root / "labels").mkdir()
    with pytest.raises(DatasetError, match="has masks and labels: keep one"):
        open_data(str(root), "all")


def test_a_mask_saved_as_jpeg(root: Path, write_pair: WritePair) -> None:
    truth = write_pair(root / "images/a.png", root / "masks/a.png")
    (root / "masks/a.png").unlink()
    assert cv2.imwrite(str(root / "masks/a.jpg"), truth)
    with pytest.raises(DatasetError, match=r"masks/a\.jpg: a mask in a format that blurs labels"):
        open_data(str(root), "all")


@pytest.mark.realdata
def test_pascal_voc(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "voc-person"
    shutil.copytree(source / "JPEGImages", tmp_path / "JPEGImages")
    shutil.copytree(source / "SegmentationClass", tmp_path / "SegmentationClass")
    (tmp_path / "classes.txt").write_text("\n".join(VOC))
    data = open_data(str(tmp_path), "all")
    assert len(data) == 30
    assert [label.color for label in data.labels] == [voc_color(index) for index in range(21)]
    seen: set[int] = set()
    for index in range(len(data)):
        mask = data.read(index).mask
        with Image.open(tmp_path / f"SegmentationClass/{data.name(index)}.png") as stored:
            assert np.array_equal(mask, np.asarray(stored))
        seen |= set(np.unique(mask).tolist())
    assert {0, VOC.index("person"), IGNORE} <= seen


@pytest.mark.realdata
def test_pascal_voc_turned_into_colours_is_the_same(real_data: Path, tmp_path: Path) -> None:
    shutil.copytree(real_data / "voc-person/JPEGImages", tmp_path / "images")
    (tmp_path / "masks").mkdir()
    rows = [f"{name}:{','.join(map(str, voc_color(index)))}::" for index, name in enumerate(VOC)]
    (tmp_path / "labelmap.txt").write_text("\n".join([*rows, "void:224,224,192::"]))
    for path in (real_data / "voc-person/SegmentationClass").glob("*.png"):
        with Image.open(path) as stored:
            stored.convert("RGB").save(tmp_path / "masks" / path.name)
    data = open_data(str(tmp_path), "all")
    for index in range(0, len(data), 7):
        with Image.open(real_data / f"voc-person/SegmentationClass/{data.name(index)}.png") as stored:
            assert np.array_equal(data.read(index).mask, np.asarray(stored))
