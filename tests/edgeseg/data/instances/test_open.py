from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import pytest

from edgeseg.data.instances.open import FORMATS, NAMES, open_instances, open_unchecked
from edgeseg_runtime.errors import DatasetError
from tests.edgeseg.data.instances.objects import refusal
from tests.edgeseg.data.instances.test_pennfudan import put
from tests.edgeseg.data.samples import rows, write, write_mask, write_picture

T = TypeVar("T")


def test_a_format_that_tells_only_classes_apart_is_refused(tmp_path: Path) -> None:
    write_picture(tmp_path / "images/a.jpg", 1, 4)
    write_mask(tmp_path / "masks/a.png", rows("0011"))
    write(tmp_path / "classes.txt", "road\ncar\n")
    formats = "tells classes apart, but not objects; formats that do: procedural, voc, coco, yolo, cvat, supervisely"
    assert f"{tmp_path} was recognised as folder images + masks, which {formats}" in refusal(tmp_path, "all")
    assert f"the format camvid {formats}" in refusal(tmp_path, "all", "camvid")


def test_what_fits_nothing_says_what_was_looked_for(tmp_path: Path) -> None:
    said = refusal(tmp_path, "train")
    assert "fits no known layout; looked for:" in said
    assert all(each.looked_for in said for each in FORMATS.values())
    assert refusal(tmp_path, "train", "pennfudan").endswith("every fifth picture is val")


@pytest.mark.parametrize(
    ("spec", "format", "said"),
    [
        ("/no/such", "auto", "there is no folder '/no/such'; name a data folder, or procedural"),
        (".", "cocoa", f"unknown data format 'cocoa'; known: auto, {', '.join(NAMES)}"),
        (".", "procedural", "the procedural set is named like procedural:"),
    ],
)
def test_mistakes(spec: str, format: str, said: str) -> None:
    with pytest.raises(DatasetError) as caught:
        open_instances(spec, "train", format=format)
    assert said in str(caught.value)


def test_progress_is_told(tmp_path: Path) -> None:
    told = []

    def progress(items: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:
        told.append((label, total))
        return items

    open_instances(str(put(tmp_path, "A1", "A2")), "train", progress=progress)
    assert told == [("checking files", 2)]


def test_unchecked_sets_are_not_read(tmp_path: Path) -> None:
    put(tmp_path, "A1", "A2", "A3")
    write(tmp_path / "PNGImages/A2.png", "no picture")
    (tmp_path / "PedMasks/A3_mask.png").unlink()
    opened = open_unchecked(str(tmp_path), "train")
    assert len(opened.data) == 2 and [problem.path.name for problem in opened.problems] == ["A3.png"]
    assert opened.data.description == "Penn-Fudan pedestrians, train: 2 pictures, unchecked"
    with pytest.raises(DatasetError, match=r"A2\.png: cannot be decoded"):
        opened.data.read(1)
    assert len(open_unchecked("procedural:48x64,n=4", "train").data) == 4
