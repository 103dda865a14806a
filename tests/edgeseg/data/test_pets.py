from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeseg.data.open import open_data, splits
from tests.edgeseg.data.samples import masks, refusal, rows, write, write_mask, write_picture

TRIMAP = rows("22333", "23113", "22333")
TRUTH = rows("00xxx", "0x11x", "00xxx")


def put(home: Path) -> Path:
    for name in ("Abyssinian_1", "beagle_2", "pug_3"):
        write_picture(home / f"images/{name}.jpg", *TRIMAP.shape)
        write_mask(home / f"annotations/trimaps/{name}.png", TRIMAP)
    # what the makers left in
    write(home / "annotations/trimaps/._pug_3.png", "droppings")
    write(home / "images/pug_3.mat", "MATLAB")
    write(home / "annotations/list.txt", "#Image CLASS-ID SPECIES BREED ID\n")
    write(home / "annotations/trainval.txt", "Abyssinian_1 1 1 1\npug_3 25 2 16\n")
    write(home / "annotations/test.txt", "beagle_2 5 2 2\n")
    return home


@pytest.mark.parametrize("inside", [".", "oxford-iiit-pet"])
def test_pets_and_background_without_the_border(inside: str, tmp_path: Path) -> None:
    put(tmp_path / inside)
    assert splits(str(tmp_path)) == ("trainval", "test")
    found = masks(tmp_path, "trainval")
    assert list(found) == ["Abyssinian_1", "pug_3"]
    assert all(np.array_equal(mask, TRUTH) for mask in found.values())
    assert [label.name for label in open_data(str(tmp_path), "test").labels] == ["background", "pet"]


def test_as_torchvision_reads_it(tmp_path: Path) -> None:
    put(tmp_path / "oxford-iiit-pet")
    datasets = pytest.importorskip("torchvision.datasets")
    for split in ("trainval", "test"):
        reference = datasets.OxfordIIITPet(str(tmp_path), split=split, target_types="segmentation")
        data = open_data(str(tmp_path), split)
        assert len(data) == len(reference)
        for index, (_, trimap) in enumerate(reference):
            assert np.array_equal(np.array([0, 1, 0, 255])[np.asarray(trimap)], data.read(index).mask)


def test_without_lists_it_is_one_split(tmp_path: Path) -> None:
    put(tmp_path)
    for split in ("trainval", "test"):
        (tmp_path / f"annotations/{split}.txt").unlink()
    assert splits(str(tmp_path)) == ("all",)
    assert len(open_data(str(tmp_path), "all")) == 3


def test_bad_files(tmp_path: Path) -> None:
    put(tmp_path)
    write_mask(tmp_path / "annotations/trimaps/pug_3.png", TRIMAP + 1)
    (tmp_path / "annotations/trimaps/Abyssinian_1.png").unlink()
    said = refusal(tmp_path, "trainval")
    assert "2 bad files" in said
    assert "pug_3.png: label outside the class table: 4 (8 px)" in said
    assert "Abyssinian_1.jpg: has no mask in" in said
