from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.data.instances.open import open_instances, recognise, splits
from tests.edgeseg.data.instances.objects import drawn, refusal, samples
from tests.edgeseg.data.samples import rows, write_mask, write_picture

TRUTH = rows("11..", "1.22", "..22")


def put(root: Path, *names: str) -> Path:
    for name in names:
        write_picture(root / f"PNGImages/{name}.png", *TRUTH.shape)
        write_mask(root / f"PedMasks/{name}_mask.png", TRUTH)
    return root


def test_each_number_is_a_person(tmp_path: Path) -> None:
    put(tmp_path, "FudanPed00001")
    data = open_instances(str(tmp_path), "train")
    assert [label.name for label in data.labels] == ["person"]
    sample = data.read(0)
    assert [label for label, _ in drawn(sample)] == [0, 0]
    for number, (_, mask) in enumerate(drawn(sample), 1):
        assert np.array_equal(mask, number == TRUTH)
    assert [each.box for each in sample.instances] == [(0, 0, 2, 2), (2, 1, 4, 3)]
    assert data.description == "Penn-Fudan pedestrians, train: 1 picture, 2 objects, 1 class"


def test_the_folder_around_it_will_do_and_a_picture_may_show_nobody(tmp_path: Path) -> None:
    put(tmp_path / "PennFudanPed", "A1", "A2")
    write_mask(tmp_path / "PennFudanPed/PedMasks/A2_mask.png", np.zeros(TRUTH.shape))
    found = samples(tmp_path, "train")
    assert [len(sample.instances) for sample in found.values()] == [2, 0]


def test_every_fifth_picture_is_val_wherever_the_folder_lies(tmp_path: Path) -> None:
    names = [f"Ped{number:05d}" for number in (1, 2, 4, 5, 7, 8, 9, 11, 12, 13, 14)]
    parts = recognise(str(put(tmp_path, *names))).splits
    assert [pair.image.stem for pair in parts["val"].pairs] == ["Ped00007", "Ped00013"]
    assert len(parts["train"].pairs) == 9
    assert splits(str(tmp_path)) == ("train", "val")


def test_copies_under_nearly_the_same_name_are_not_divided(tmp_path: Path) -> None:
    names = [f"Ped{number:05d}" for number in range(1, 11)]
    copies = [f"{name}{suffix}" for name in names for suffix in ("", "_flip", " (1)")]
    parts = recognise(str(put(tmp_path, *copies))).splits
    assert {pair.image.stem[:8] for pair in parts["val"].pairs} == {"Ped00005", "Ped00010"}
    assert len(parts["val"].pairs) == 6 and len(parts["train"].pairs) == 24


def test_bad_files_are_named(tmp_path: Path) -> None:
    put(tmp_path, *(f"P{number}" for number in range(1, 5)))
    (tmp_path / "PedMasks/P1_mask.png").unlink()
    write_mask(tmp_path / "PedMasks/P2_mask.png", np.zeros((5, 5)))
    write_mask(tmp_path / "PedMasks/P3_mask.png", np.eye(3)[..., None] * (1, 2, 3))
    said = refusal(tmp_path, "train")
    assert "3 bad files" in said
    assert f"PNGImages/P1.png: has no mask in {tmp_path / 'PedMasks'}" in said
    assert "P2_mask.png: the mask is 5×5 px, its picture 4×3" in said
    assert "P3_mask.png: holds colours, where the objects' numbers are expected" in said
    assert len(open_instances(str(tmp_path), "train", skip_bad=True)) == 1


def test_more_people_than_a_byte_counts(tmp_path: Path) -> None:
    write_picture(tmp_path / "PNGImages/A1.png", 20, 20)
    (tmp_path / "PedMasks").mkdir()
    assert cv2.imwrite(str(tmp_path / "PedMasks/A1_mask.png"), np.arange(400, dtype=np.uint16).reshape(20, 20))
    assert len(samples(tmp_path, "train")["A1"].instances) == 399


@pytest.mark.realdata
def test_real_people(real_data: Path) -> None:
    root = real_data / "pennfudan"
    sets = {split: samples(root, split) for split in ("train", "val")}
    assert {split: len(found) for split, found in sets.items()} == {"train": 82, "val": 20}
    assert not set(sets["train"]) & set(sets["val"])
    for found in sets.values():
        for name, sample in found.items():
            stored = cv2.imread(str(root / f"PedMasks/{name}_mask.png"), cv2.IMREAD_UNCHANGED)
            assert stored is not None and len(sample.instances) == stored.max()
            for number, (_, mask) in enumerate(drawn(sample), 1):
                assert np.array_equal(mask, stored == number)
