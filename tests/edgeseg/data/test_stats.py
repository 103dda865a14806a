from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeseg.data.files import Problem
from edgeseg.data.open import open_unchecked
from edgeseg.data.stats import count
from tests.edgeseg.data.samples import rows, write, write_mask, write_picture

MASKS = {"a": rows("0011", "00xx"), "b": rows("22", "22", "x2"), "c": rows("0000", "0001")}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "classes.txt", "road\ncar\npost\nsign\n")
    for name, mask in MASKS.items():
        write_picture(tmp_path / f"images/{name}.jpg", *mask.shape)
        write_mask(tmp_path / f"masks/{name}.png", mask)
    return tmp_path


def test_pixels_pictures_and_sizes_are_counted(root: Path) -> None:
    opened = open_unchecked(str(root), "all")
    found = count(opened.data, opened.problems)
    assert found.pictures == 3
    assert found.sizes == {(2, 4): 2, (3, 2): 1}
    assert found.pixels == (11, 3, 5, 0)
    assert found.present == (2, 2, 1, 0)
    assert found.ignored == 3
    assert found.problems == ()
    assert sum(found.pixels) + found.ignored == sum(mask.size for mask in MASKS.values())


def test_bad_files_are_left_out_and_told_of(root: Path) -> None:
    write_mask(root / "masks/b.png", np.full((3, 2), 9))
    write_picture(root / "images/d.jpg", 4, 4)
    opened = open_unchecked(str(root), "all")
    found = count(opened.data, opened.problems)
    assert found.pictures == 2
    assert found.pixels == (11, 3, 0, 0)
    assert found.problems == (
        Problem(root / "images/d.jpg", f"has no mask in {root}/masks"),
        Problem(root / "masks/b.png", "label outside the class table: 9 (6 px)"),
    )
    plain = found.as_dict(("road", "car", "post", "sign"))
    assert plain["classes"][0] == {"name": "road", "pixels": 11, "pictures": 2}
    assert plain["sizes"] == [{"width": 4, "height": 2, "pictures": 2}]
    assert [bad["path"] for bad in plain["bad_files"]] == [f"{root}/images/d.jpg", f"{root}/masks/b.png"]


def test_the_built_in_set_has_every_class() -> None:
    found = count(open_unchecked("procedural:48x64,n=8", "train").data)
    assert found.sizes == {(48, 64): found.pictures}
    assert sum(found.pixels) + found.ignored == 48 * 64 * found.pictures
