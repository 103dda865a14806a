from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
import pytest
from PIL import Image

from edgeseg.data.check import SHOWN
from edgeseg.data.open import FORMATS, NAMES, open_data, splits
from edgeseg_runtime.errors import DatasetError

if TYPE_CHECKING:
    from tests.edgeseg.data.conftest import WritePair

T = TypeVar("T")


@pytest.fixture
def root(tmp_path: Path, write_pair: WritePair) -> Path:
    """A sound data set of three pairs: good_1, good_2, good_3."""
    (tmp_path / "classes.txt").write_text("road\ncar\npost\n")
    for number in (1, 2, 3):
        write_pair(tmp_path / f"images/good_{number}.jpg", tmp_path / f"masks/good_{number}.png")
    return tmp_path


def report(root: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        open_data(str(root), "all")
    return str(caught.value)


def test_a_sound_set(root: Path) -> None:
    data = open_data(str(root), "all")
    assert len(data) == 3
    assert data.description == "folder images + masks, all: 3 pictures, 3 classes"


# --- bad files: each is named with its reason, and can be skipped ---


def truncate(path: Path, share: float = 0.6) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])


def break_image(root: Path) -> str:
    truncate(root / "images/good_2.jpg")
    return "images/good_2.jpg: truncated"


def break_mask(root: Path) -> str:
    truncate(root / "masks/good_2.png")
    return "masks/good_2.png: truncated"


def empty_image(root: Path) -> str:
    (root / "images/good_2.jpg").write_bytes(b"")
    return "images/good_2.jpg: the file is empty"


def resize_mask(root: Path) -> str:
    assert cv2.imwrite(str(root / "masks/good_2.png"), np.zeros((6, 16), np.uint8))
    return "masks/good_2.png: the mask is 16×6 px, its picture 16×12"


def turn_picture(root: Path) -> str:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (16, 12)).save(root / "images/good_2.jpg", exif=exif)
    return (
        "masks/good_2.png: the mask is 16×12 px, its picture 12×16 (once turned upright as its EXIF orientation says)"
    )


def label_outside(root: Path) -> str:
    mask = np.zeros((12, 16), np.uint8)
    mask[0, :5] = 3
    assert cv2.imwrite(str(root / "masks/good_2.png"), mask)
    return "masks/good_2.png: label outside the class table: 3 (5 px)"


def remove_mask(root: Path) -> str:
    (root / "masks/good_2.png").unlink()
    return f"images/good_2.jpg: has no mask in {root}/masks"


def remove_image(root: Path) -> str:
    (root / "images/good_2.jpg").unlink()
    return f"masks/good_2.png: has no picture in {root}/images"


def not_a_picture(root: Path) -> str:
    (root / "images/good_2.jpg").write_bytes(b"<html>404</html>")
    return "images/good_2.jpg: cannot be decoded"


def unreadable(root: Path) -> str:
    # Not by permissions: tests may run as root, whom they do not stop.
    (root / "images/good_2.jpg").unlink()
    (root / "images/good_2.jpg").mkdir()
    return "images/good_2.jpg: cannot be read: Is a directory"


DAMAGES = [
    break_image,
    break_mask,
    empty_image,
    resize_mask,
    turn_picture,
    label_outside,
    remove_mask,
    remove_image,
    not_a_picture,
    unreadable,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_file_is_named_and_can_be_skipped(damage: object, root: Path) -> None:
    assert callable(damage)
    reason = damage(root)
    text = report(root)
    assert text.splitlines()[0] == f"{root}, split all: 1 bad file (--skip-bad goes on without)"
    assert text.splitlines()[1].startswith(f"  {root}/{reason}")
    assert len(text.splitlines()) == 2
    data = open_data(str(root), "all", skip_bad=True)
    assert [data.name(index) for index in range(len(data))] == ["good_1", "good_3"]
    assert "; 1 bad file left out" in data.description


def test_all_bad_files_are_in_one_report(root: Path, write_pair: WritePair) -> None:
    truncate(root / "images/good_1.jpg")
    (root / "masks/good_3.png").unlink()
    write_pair(root / "images/x.png", root / "masks/x.png", 77)
    lines = report(root).splitlines()
    assert len(lines) == 4
    assert "3 bad files" in lines[0]
    assert [line.split(":")[0].split("/")[-1] for line in lines[1:]] == ["good_1.jpg", "good_3.jpg", "x.png"]


def test_a_long_report_is_cut_and_counted(root: Path, write_pair: WritePair) -> None:
    for number in range(SHOWN + 7):
        write_pair(root / f"images/x{number:03}.png", root / f"masks/x{number:03}.png", 9)
    lines = report(root).splitlines()
    assert f"{SHOWN + 7} bad files" in lines[0]
    assert len(lines) == SHOWN + 2
    assert lines[-1] == "  … and 7 more"


def test_nothing_left_is_an_error_even_when_skipping(root: Path) -> None:
    for number in (1, 2, 3):
        truncate(root / f"images/good_{number}.jpg")
    with pytest.raises(DatasetError, match=r"no file can be used\n.*good_1"):
        open_data(str(root), "all", skip_bad=True)


def test_reading_a_file_that_went_bad_after_opening_names_it(root: Path) -> None:
    data = open_data(str(root), "all")
    truncate(root / "images/good_1.jpg")
    with pytest.raises(DatasetError, match=r"good_1\.jpg: truncated"):
        data.read(0)


# --- splits and formats ---


def test_an_empty_split(tmp_path: Path, write_pair: WritePair) -> None:
    write_pair(tmp_path / "train/0001TP_a.png", tmp_path / "trainannot/0001TP_a.png")
    (tmp_path / "val").mkdir()
    (tmp_path / "valannot").mkdir()
    with pytest.raises(DatasetError, match="the split 'val' is empty; splits that hold pictures: train"):
        open_data(str(tmp_path), "val")
    with pytest.raises(DatasetError, match="the split 'test' is not there; splits that hold pictures: train"):
        open_data(str(tmp_path), "test")
    assert splits(str(tmp_path)) == ("train",)


def test_a_folder_that_fits_nothing_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        open_data(str(tmp_path), "train")
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{tmp_path} fits no known layout; looked for:"
    assert len(lines) == 1 + len(FORMATS)
    assert "trainannot/" in lines[1]
    assert "classes.csv" in lines[-1]


def test_no_such_folder() -> None:
    with pytest.raises(DatasetError, match=r"there is no folder '/no/such'; name a data folder, or procedural"):
        open_data("/no/such", "train")


def test_an_unknown_format_names_the_known_ones(root: Path) -> None:
    with pytest.raises(
        DatasetError, match="unknown data format 'cocoa'; known: auto, procedural, camvid, cityscapes, "
    ):
        open_data(str(root), "all", format="cocoa")
    assert ("procedural", *FORMATS) == NAMES
    assert list(FORMATS)[-1] == "folder"


def test_a_format_asked_for_is_the_only_one_tried(root: Path) -> None:
    with pytest.raises(DatasetError, match=r"fits no known layout; looked for:\n  CamVid[^\n]*$"):
        open_data(str(root), "all", format="camvid")
    assert len(open_data(str(root), "all", format="folder")) == 3


def test_the_built_in_set() -> None:
    assert splits("procedural") == ("train", "val", "test", "calibration")
    data = open_data("procedural:48x64,n=8", "val")
    assert len(data) == 2
    assert data.read(0).image.shape == (48, 64, 3)
    with pytest.raises(DatasetError, match="procedural has no split 'tset'; it has train, val, test, calibration"):
        open_data("procedural", "tset")
    with pytest.raises(DatasetError, match="the procedural set is named like procedural:"):
        open_data("/tmp", "train", format="procedural")


def test_progress_sees_every_pair(root: Path) -> None:
    seen: list[tuple[str, int | None]] = []

    def progress(items: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:
        for item in items:
            seen.append((label, total))
            yield item

    open_data(str(root), "all", progress=progress)
    assert seen == [("checking files", 3)] * 3
