from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgeseg.data.files import Layout, MaskFiles, Pair, Pairing
from edgeseg.data.items import in_threads, open_collection, without_unions
from edgeseg.data.masks import MaskReader
from edgeseg_runtime.errors import DatasetError
from edgeseg_runtime.progress import silent

if TYPE_CHECKING:
    from tests.edgeseg.data.conftest import WritePair


def test_a_folder(tmp_path: Path, write_pair: WritePair) -> None:
    (tmp_path / "classes.txt").write_text("road\ncar\npost\n")
    for split, name in (("train", "a"), ("train", "b"), ("val", "c")):
        write_pair(tmp_path / f"images/{split}/{name}.png", tmp_path / f"masks/{split}/{name}.png")
    (tmp_path / "masks/train/b.png").unlink()
    found = open_collection(str(tmp_path))
    assert found.splits == ("train", "val")
    assert [(item.split, item.name) for item in found.items] == [("train", "a"), ("val", "c")]
    assert found.items[1].where == str(tmp_path / "images/val/c.png")
    assert [problem.path.name for problem in found.problems["train"]] == ["b.png"]
    assert found.items[0].read().image.shape == (12, 16, 3)
    assert open_collection(str(tmp_path), splits=("val", "val")).splits == ("val",)


def test_train_is_not_left_out_though_others_hold_its_pictures(tmp_path: Path, write_pair: WritePair) -> None:
    (tmp_path / "classes.txt").write_text("road\ncar\npost\n")
    for name in "abc":
        write_pair(tmp_path / f"images/{name}.png", tmp_path / f"masks/{name}.png")
    (tmp_path / "train.txt").write_text("a\nb\nc\n")
    (tmp_path / "val.txt").write_text("b\n")
    (tmp_path / "test.txt").write_text("a\nc\n")
    # a fault of the set, which has to be seen
    assert open_collection(str(tmp_path)).splits == ("train", "val", "test")


def test_a_split_that_only_repeats_others_is_left_out_unless_it_is_named() -> None:
    a, b, c = (Pair(Path(f"{name}.jpg"), Path(f"{name}.png")) for name in "abc")
    splits = {"train": Pairing((a, b), ()), "val": Pairing((c,), ()), "trainval": Pairing((a, b, c), ())}
    layout = Layout("VOC", (), MaskFiles(MaskReader({})), splits)
    assert without_unions(layout, tuple(splits)) == ("train", "val")
    splits["val"] = Pairing((b,), ())  # c is in trainval alone: that is no union
    assert without_unions(layout, tuple(splits)) == ("train", "val", "trainval")


def test_the_built_in_set() -> None:
    found = open_collection("procedural:32x40,n=4", splits=("val", "train"))
    assert [item.where for item in found.items] == [
        f"{k}" for k in ("val_00000", *(f"train_{n:05d}" for n in range(4)))
    ]
    assert found.items[0].pair is None
    assert found.read_truth is None
    assert len(found.labels) == 10


def test_a_split_that_is_not_there() -> None:
    with pytest.raises(DatasetError, match="procedural has no split 'tset'; it has train, val, test, calibration"):
        open_collection("procedural", splits=("tset",))


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("road\ncar\n")
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    with pytest.raises(DatasetError, match="no split holds pictures"):
        open_collection(str(tmp_path))


def test_threads_keep_the_order_and_drop_what_is_not_begun() -> None:
    assert list(in_threads(lambda k: k * k, range(20), 4, silent, "squaring", 20)) == [k * k for k in range(20)]
    begun: list[int] = []
    go = threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        if number:
            go.wait(10)
        return number

    results = in_threads(work, range(100), 1, silent, "waiting", 100)
    assert next(results) == 0
    threading.Timer(0.1, go.set).start()
    results.close()
    assert len(begun) <= 3


def test_an_error_in_the_work_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda k: 1 // k, range(3), 2, silent, "dividing", 3))
