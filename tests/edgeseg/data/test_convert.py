from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from edgeseg.data.base import IGNORE
from edgeseg.data.convert import folder_splits, write_folder
from edgeseg.data.folder_files import Pictures, class_table
from edgeseg.data.indexed_png import IGNORE_COLOR, indexed_png
from edgeseg.data.items import Collection, open_collection
from edgeseg.data.open import open_data
from edgeseg_runtime.contract import Label
from edgeseg_runtime.errors import DatasetError, OutputError

if TYPE_CHECKING:
    from tests.edgeseg.data.conftest import WritePair

T = TypeVar("T")


def own_splits(collection: Collection) -> list[str | None]:
    return [item.split for item in collection.items]


def convert(spec: str, out: Path, pictures: Pictures = "copy", format: str = "auto") -> Collection:
    collection = open_collection(spec, format=format)
    write_folder(collection, own_splits(collection), out, pictures=pictures)
    return collection


def check_same(collection: Collection, out: Path) -> None:
    """Every sample of the written folder is that of the source, and so are the classes."""
    for split in collection.splits:
        written = open_data(str(out), split, format="folder")
        assert written.labels == collection.labels
        items = [item for item in collection.items if item.split == split]
        assert [written.name(k) for k in range(len(written))] == [item.name for item in items]
        for index, item in enumerate(items):
            sample, expected = written.read(index), item.read()
            assert np.array_equal(sample.mask, expected.mask), item.name
            assert np.array_equal(sample.image, expected.image), item.name


@pytest.fixture
def source(tmp_path: Path, write_pair: WritePair) -> Path:
    root = tmp_path / "source"
    for split, name in (("train", "0001TP_a"), ("train", "0001TP_b.x"), ("val", "0001TP_a")):
        write_pair(root / f"{split}/{name}.jpg", root / f"{split}annot/{name}.png", [0, 11, 3, 10] * 4)
    return root


@pytest.mark.parametrize("pictures", ["copy", "link"])
def test_camvid_comes_back_as_it_was(pictures: Pictures, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "new/out"
    check_same(convert(str(source), out, pictures), out)
    picture = out / "images/train/0001TP_b.x.jpg"
    assert picture.is_symlink() is (pictures == "link")
    assert picture.read_bytes() == (source / "train/0001TP_b.x.jpg").read_bytes()


def test_drawn_pictures_are_written_without_loss(tmp_path: Path) -> None:
    collection = open_collection("procedural:32x40,n=3", splits=("train", "val"))
    write_folder(collection, own_splits(collection), tmp_path / "out")
    check_same(collection, tmp_path / "out")


def test_one_undivided_split_makes_a_flat_folder(tmp_path: Path, write_pair: WritePair) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/classes.txt").write_text("road\ncar\npost\n")
    write_pair(tmp_path / "in/images/a b.png", tmp_path / "in/masks/a b.png")
    check_same(convert(str(tmp_path / "in"), tmp_path / "out"), tmp_path / "out")
    assert (tmp_path / "out/images/a b.png").is_file()


def test_an_upright_mask_of_a_turned_picture(tmp_path: Path, write_pair: WritePair) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "in/images").mkdir(parents=True)
    (tmp_path / "in/masks").mkdir()
    (tmp_path / "in/classes.txt").write_text("road\ncar\n")
    Image.effect_noise((12, 16), 50).convert("RGB").save(tmp_path / "in/images/a.jpg", exif=exif)
    Image.fromarray(np.eye(12, 16, dtype=np.uint8)).save(tmp_path / "in/masks/a.png")
    check_same(convert(str(tmp_path / "in"), tmp_path / "out"), tmp_path / "out")


def test_a_name_that_is_there_twice(tmp_path: Path, source: Path) -> None:
    collection = open_collection(str(source))
    written = write_folder(collection, ["train"] * 3, tmp_path / "out")
    assert written.pictures == {"train": 3}
    names = sorted(path.name for path in (tmp_path / "out/images/train").iterdir())
    assert names == ["0001TP_b.x.jpg", "train_0001TP_a.jpg", "val_0001TP_a.jpg"]
    assert len(open_data(str(tmp_path / "out"), "train")) == 3


def test_what_has_no_split_is_left_out(tmp_path: Path, source: Path) -> None:
    collection = open_collection(str(source))
    assert write_folder(collection, ["train", None, None], tmp_path / "out").pictures == {"train": 1}


def test_labels_with_one_colour_and_ignored_names(tmp_path: Path) -> None:
    labels = (Label("a", (1, 2, 3)), Label("void", (9, 9, 9)), Label("b, c", (1, 2, 3)))
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    (tmp_path / "classes.csv").write_text(class_table(labels))
    mask = np.array([[0, 1, 2, IGNORE]], np.uint8)
    (tmp_path / "masks/a.png").write_bytes(indexed_png(mask, [label.color for label in labels]))
    Image.new("RGB", (4, 1)).save(tmp_path / "images/a.png")
    data = open_data(str(tmp_path), "all")
    assert data.labels == labels
    assert data.read(0).mask.tolist() == mask.tolist()


@settings(max_examples=15, deadline=None)
@given(mask=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20)), seed=st.integers(0, 99))
def test_indexed_png_is_read_by_pillow(mask: np.ndarray, seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    colors = [tuple(map(int, c)) for c in np.random.default_rng(seed).integers(0, 256, (254, 3))]
    path = tmp_path_factory.mktemp("png") / "m.png"
    path.write_bytes(indexed_png(mask, colors))  # type: ignore[arg-type]
    with Image.open(path) as image:
        image.verify()
    with Image.open(path) as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image), mask)
        palette = np.asarray(image.getpalette()).reshape(-1, 3)
        assert np.array_equal(palette[:254], colors)
        assert tuple(palette[255]) == IGNORE_COLOR


# --- what goes wrong leaves nothing ---


def test_a_name_that_is_no_text_is_a_bad_file(source: Path, tmp_path: Path) -> None:
    for path, suffix in ((source / "train/0001TP_a.jpg", b".jpg"), (source / "trainannot/0001TP_a.png", b".png")):
        path.rename(path.with_name(os.fsdecode(b"caf\xe9" + suffix)))
    collection = open_collection(str(source))
    with pytest.raises(DatasetError, match=r"(?s)1 bad file .*its name is no text in UTF-8: rename it"):
        write_folder(collection, own_splits(collection), tmp_path / "out")


def test_an_existing_target_is_refused_and_kept(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("dear")
    with pytest.raises(OutputError, match="out is there already; name a new folder, or remove it"):
        convert(str(source), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_bad_files_are_named_and_nothing_is_left(source: Path, tmp_path: Path) -> None:
    (source / "trainannot/0001TP_a.png").write_bytes(b"")
    (source / "val/lonely.jpg").write_bytes((source / "val/0001TP_a.jpg").read_bytes())
    collection = open_collection(str(source))
    with pytest.raises(
        DatasetError, match=r"(?s)2 bad files .*lonely\.jpg: has no mask.*annot/0001TP_a\.png: the file is empty"
    ):
        write_folder(collection, own_splits(collection), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]
    written = write_folder(collection, own_splits(collection), tmp_path / "out", skip_bad=True)
    assert (written.pictures, len(written.problems)) == ({"train": 1, "val": 1}, 2)
    assert len(open_data(str(tmp_path / "out"), "train")) == 1


def test_nothing_but_bad_files(source: Path, tmp_path: Path) -> None:
    for path in source.glob("*annot/*"):
        path.write_bytes(b"")
    collection = open_collection(str(source))
    with pytest.raises(DatasetError, match="3 bad files"):
        write_folder(collection, own_splits(collection), tmp_path / "out", skip_bad=True)
    assert not (tmp_path / "out").exists()


def test_an_interruption_leaves_nothing(source: Path, tmp_path: Path) -> None:
    def interrupting(items: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:
        for number, item in enumerate(items):
            if number == 1:
                raise KeyboardInterrupt
            yield item

    collection = open_collection(str(source))
    with pytest.raises(KeyboardInterrupt):
        write_folder(collection, own_splits(collection), tmp_path / "out", progress=interrupting)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_a_full_disk_is_told_in_a_line(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(OutputError, match=r"cannot write .*\.jpg: No space left on device"):
        convert(str(source), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_splits_that_a_folder_cannot_have(source: Path, tmp_path: Path) -> None:
    collection = open_collection("procedural:32x32,n=2")
    assert folder_splits(collection.splits) == {"train": "train", "val": "val", "test": "test", "calibration": None}
    with pytest.raises(DatasetError, match="a folder's splits are train, val, test, got calibration"):
        write_folder(collection, own_splits(collection), tmp_path / "out")
    assert folder_splits(("calibration",)) == {"calibration": "all"}
    assert folder_splits(("trainval", "test")) == {"trainval": "train", "test": "test"}
    assert folder_splits(("train", "trainval")) == {"train": "train", "trainval": None}
    assert folder_splits(("day", "night")) == {"day": None, "night": None}


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["tinycoco", "voc-person"])
def test_real_sets_come_back_as_they_were(name: str, real_data: Path, tmp_path: Path) -> None:
    check = convert(str(real_data / name), tmp_path / "out")
    check_same(check, tmp_path / "out")
