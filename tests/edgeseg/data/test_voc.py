from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeseg.data.open import open_data, recognise, splits
from edgeseg.data.voc import LABELS
from edgeseg_runtime.contract import voc_color
from edgeseg_runtime.errors import DatasetError, MissingExtraError
from edgeseg_runtime.preprocess import Mask
from tests.edgeseg.data.samples import masks, refusal, rows, write, write_picture

TRUTH = rows("0xxx0", "0xax0", "0xxx0", a=20)


def write_palette(path: Path, values: Mask) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(values).convert("P")
    picture.putdata(values.ravel().tolist())
    picture.putpalette([channel for index in range(256) for channel in voc_color(index)])
    picture.save(path)


def put(home: Path, *names: str) -> None:
    for name in names:
        write_picture(home / f"JPEGImages/{name}.jpg", *TRUTH.shape)
        write_palette(home / f"SegmentationClass/{name}.png", TRUTH)


@pytest.fixture
def devkit(tmp_path: Path) -> Path:
    home = tmp_path / "VOCdevkit/VOC2012"
    put(home, "2007_000032", "2007_000033", "2007_000039")
    write_picture(home / "JPEGImages/2007_000001.jpg", 3, 5)  # for detection only, as most are
    lists = {"train": ["2007_000032", "2007_000039"], "val": ["2007_000033"]}
    for split, names in (lists | {"trainval": [*lists["train"], *lists["val"]]}).items():
        write(home / f"ImageSets/Segmentation/{split}.txt", "\n".join(names) + "\n")
    return tmp_path


@pytest.mark.parametrize("inside", [".", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_the_kit_the_year_or_what_is_around(inside: str, devkit: Path) -> None:
    root = devkit / inside
    assert splits(str(root)) == ("train", "val", "trainval")
    assert np.array_equal(masks(root, "val")["2007_000033"], TRUTH)
    assert len(open_data(str(root), "trainval")) == 3
    assert len(recognise(str(root)).labels) == 21
    assert recognise(str(root)).labels[20].name == "tvmonitor"


def test_as_torchvision_reads_it(devkit: Path) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    for split in ("train", "val", "trainval"):
        data = open_data(str(devkit), split)
        reference = datasets.VOCSegmentation(str(devkit), image_set=split)
        assert [data.name(index) for index in range(len(data))] == sorted(Path(path).stem for path in reference.images)
        for index, (picture, target) in enumerate(reference):
            sample = data.read(index)
            assert np.array_equal(sample.mask, np.asarray(target))
            assert sample.image.shape[:2] == picture.size[::-1]


def test_of_several_years_the_last(devkit: Path) -> None:
    old = devkit / "VOCdevkit/VOC2007"
    put(old, "000032")
    write(old / "ImageSets/Segmentation/train.txt", "000032\n")
    assert recognise(str(devkit)).title == "Pascal VOC2012"
    assert list(masks(old, "train")) == ["000032"]


def test_without_lists_the_palette_says_that_it_is_voc(tmp_path: Path) -> None:
    put(tmp_path, "000001", "000002")
    assert splits(str(tmp_path)) == ("all",)
    assert np.array_equal(masks(tmp_path, "all")["000002"], TRUTH)


def test_a_table_of_its_own_or_another_palette_is_another_set(tmp_path: Path) -> None:
    put(tmp_path, "a")
    write(tmp_path / "classes.txt", "\n".join(f"c{index}" for index in range(21)))
    assert recognise(str(tmp_path)).title == "folder images + masks"
    (tmp_path / "classes.txt").unlink()
    Image.fromarray(TRUTH).save(tmp_path / "SegmentationClass/a.png")
    with pytest.raises(DatasetError, match="holds pictures and masks but no class table"):
        recognise(str(tmp_path))


def test_a_test_list_without_masks(devkit: Path) -> None:
    write(devkit / "VOCdevkit/VOC2012/ImageSets/Segmentation/test.txt", "2008_000006\n")
    assert "the split 'test' has no public truth" in refusal(devkit, "test")


def test_bad_files(devkit: Path) -> None:
    home = devkit / "VOCdevkit/VOC2012"
    write_palette(home / "SegmentationClass/2007_000032.png", rows("0000l", "00000", "00000", l=21))
    (home / "SegmentationClass/2007_000039.png").unlink()
    write(home / "ImageSets/Segmentation/train.txt", "2007_000032\n2007_000039\n2007_999999\n")
    said = refusal(devkit, "train")
    assert "3 bad files" in said
    assert "2007_000032.png: label outside the class table: 21 (1 px)" in said
    assert "2007_000039.jpg: has no mask in" in said
    assert "2007_999999: is listed, but there is no such picture" in said


# --- SBD ---


def write_mat(path: Path, values: object, name: str = "GTcls") -> None:
    io = pytest.importorskip("scipy.io")
    path.parent.mkdir(parents=True, exist_ok=True)
    io.savemat(path, {name: {"Segmentation": values, "Boundaries": 0, "CategoriesPresent": [20]}}, do_compression=True)


@pytest.fixture
def sbd(tmp_path: Path) -> Path:
    home = tmp_path / "benchmark_RELEASE/dataset"
    for name in ("2008_000002", "2008_000003"):
        write_picture(home / f"img/{name}.jpg", *TRUTH.shape)
        write_mat(home / f"cls/{name}.mat", TRUTH % 255)
    write(home / "train.txt", "2008_000002\n2008_000003\n")
    write(home / "train_noval.txt", "2008_000003\n")
    return tmp_path


@pytest.mark.parametrize("inside", [".", "benchmark_RELEASE", "benchmark_RELEASE/dataset"])
def test_sbd(inside: str, sbd: Path) -> None:
    root = sbd / inside
    assert splits(str(root)) == ("train", "train_noval")
    assert recognise(str(root)).labels == LABELS
    found = masks(root, "train")
    assert list(found) == ["2008_000002", "2008_000003"]
    assert all(np.array_equal(mask, TRUTH % 255) for mask in found.values())
    assert list(masks(root, "train_noval")) == ["2008_000003"]


def test_sbd_as_torchvision_reads_it(sbd: Path) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    home = sbd / "benchmark_RELEASE/dataset"
    reference = datasets.SBDataset(str(home), image_set="train", mode="segmentation")
    data = open_data(str(sbd), "train")
    for index, (_, target) in enumerate(reference):
        assert np.array_equal(data.read(index).mask, np.asarray(target))


def test_sbd_bad_files(sbd: Path) -> None:
    home = sbd / "benchmark_RELEASE/dataset"
    (home / "cls/2008_000002.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    write_mat(home / "cls/2008_000003.mat", rows("00l00", "00000", "00000", l=21))
    write(home / "train.txt", "2008_000002\n2008_000003\n2008_000009\n")
    write_mat(home / "cls/2008_000002.mat", TRUTH, "GTinst")
    said = refusal(sbd, "train")
    assert "3 bad files" in said
    assert "2008_000002.mat: cannot be read as SBD's MATLAB file" in said
    assert "2008_000003.mat: label outside the class table: 21" in said
    assert "2008_000009.jpg: is listed, but not there" in said
    (home / "cls/2008_000002.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    assert "2008_000002.mat: cannot be read as SBD's MATLAB file" in refusal(sbd, "train")
    write_mat(home / "cls/2008_000002.mat", TRUTH[:2] % 255)
    assert "2008_000002.mat: the mask is 5×2 px, its picture 5×3" in refusal(sbd, "train")


def test_sbd_without_scipy(sbd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "scipy", None)
    with pytest.raises(
        MissingExtraError, match=r"^scipy is not installed; install it with: pip install 'edgeseg\[sbd\]'$"
    ):
        open_data(str(sbd), "train")


@pytest.mark.realdata
def test_real_pictures_of_pascal_voc_are_recognised(real_data: Path) -> None:
    root = real_data / "voc-person"
    data = open_data(str(root), "all")
    assert data.description.startswith("Pascal VOC, all: 30 pictures, 21 classes")
    for index in range(0, len(data), 5):
        with Image.open(root / f"SegmentationClass/{data.name(index)}.png") as stored:
            assert np.array_equal(data.read(index).mask, np.asarray(stored))
