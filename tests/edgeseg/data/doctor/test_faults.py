from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg.data.convert import write_folder
from edgeseg.data.doctor.findings import Finding
from edgeseg.data.doctor.run import Diagnosis, diagnose
from edgeseg.data.doctor.table import CHECKS
from edgeseg.data.items import open_collection
from edgeseg.data.procedural import ProceduralData, ProceduralSpec
from tests.edgeseg.data.doctor import faults

Plant = Callable[[Path], None]

# What is planted, which check must tell of it, and what the message must say.
PLANTED: list[tuple[Plant, str, str]] = [
    (faults.truncate, "unusable-file", "truncated"),
    (faults.damage, "picture-damaged", r"2 pictures; of .*0001.*: .*(Corrupt JPEG|Premature end)"),
    (faults.lose_mask, "unusable-file", "has no mask"),
    (faults.other_size, "size-mismatch", "128×92 px, its picture 128×96"),
    (faults.turn_by_exif, "exif-orientation", "once turned upright"),
    (faults.turn_half_by_exif, "exif-orientation", "10 masks of tagged pictures"),
    (faults.turn_half_but_one_by_exif, "exif-orientation", "9 masks of tagged pictures"),
    (faults.tag_rightly, "exif-tagged", "10 of 24 pictures"),
    (faults.mix_sizes, "sizes-mixed", r"2 sizes: 128×96 \(29\), 100×80 \(1\)"),
    (faults.convert("L", ".png"), "picture-grey", "3 of 24 pictures"),
    (faults.convert("RGBA", ".png"), "picture-alpha", "3 of 24 pictures"),
    (faults.convert("CMYK", ".jpg"), "picture-cmyk", "3 of 24 pictures"),
    (faults.deepen, "picture-16bit", "3 of 24 pictures"),
    (faults.unknown_area, "mask-values", r"2 masks; unknown: 77 \(1600 px\)"),
    (faults.jpeg_masks(".jpg"), "mask-lossy", "blurs labels"),
    (faults.jpeg_masks(".png"), "mask-lossy", "5 masks stored as JPEG"),
    (faults.once_jpeg, "mask-blurred", "24 of 24 masks"),
    (faults.interpolated, "mask-blurred", "24 of 24 masks"),
    (faults.interpolated_colours, "mask-blurred", "6 masks; unknown: "),
    (faults.count_from_1, "mask-count-from-1", r"unknown: 10 \("),
    (faults.count_from_1_throughout, "mask-count-from-1", r"unknown: 10 \("),
    (faults.ignore_254, "mask-254", r"24 masks; unknown: 254 \(18432 px\)"),
    (faults.binary_255, "mask-binary-255", "hold 255, none a number from 1 to 254"),
    (faults.bgr_masks, "mask-colours-reversed", "24 masks; unknown: "),
    (faults.grey_of_colours, "mask-colours-grey", "24 masks; unknown: "),
    (faults.permuted_palette, "palette-permuted", "4 masks; for example number 2, which is road, is drawn in"),
    (faults.foreign_palette, "palette-other", "4 masks; for example number 0, which is sky"),
    (faults.ignore_all, "mask-all-ignored", "2 of 24 masks"),
    (faults.one_class, "mask-one-class", "2 of 24 masks, with nothing but road"),
    (faults.specks, "mask-specks", "3 of 24 masks"),
    (
        faults.next_masks(1),
        "mask-of-another",
        "pictures 1 place earlier in name order fit better: .*its own is that of",
    ),
    (faults.next_masks(7), "mask-of-another", "pictures 7 places earlier in name order"),
    (faults.next_masks(23), "mask-of-another", "pictures 1 place later in name order"),
    (faults.mirror, "mask-turned", "24 of 24 masks look mirrored left to right: score"),
    (faults.upside_down, "mask-turned", "upside down"),
    (faults.shift, "mask-shifted", "moved by about 6 px to the left: "),
    (faults.new_class, "class-absent", "no mask has a pixel of tram$"),
    (faults.only_in("val"), "class-not-in-train", "tram is on 4 pictures of val, on none of train"),
    (faults.only_in("train"), "class-not-scored", "only train has a pixel of tram"),
    (faults.rare, "class-rare", "tram: 0.00271 % of the pixels, on 2 of 24 pictures"),
    (faults.twice, "duplicate", "2 of 25 pictures are in 1 group of up to 2"),
    (faults.leak, "duplicate-across-splits", "1 of 7 val pictures are the same as one of train"),
    (faults.disagree, "labels-disagree", "2 different masks of the picture copy_of_it"),
    (faults.near("train"), "near-duplicate", "2 of 25 pictures are in 1 group of up to 2"),
    (faults.near("val"), "near-duplicate-across-splits", "1 of 7 val pictures are nearly the same as one of train"),
    (faults.mirrored_leak, "near-duplicate-across-splits", "1 of 7 val pictures are nearly the same as one of train"),
    (faults.cut_a_scene, "scene-across-splits", r"3 of 9 val pictures are frames of 1 scene .*: drive_\*"),
    (faults.cut_between_scenes, "video-across-splits", r"8 of 14 val pictures are frames of 1 video .*: drive_\*"),
]
# What must come with a fault, besides what only remarks on it.
COMPANY = {
    "disagree": {"duplicate"},
    "binary_255": {"class-absent"},
    "turn_half_by_exif": {"exif-tagged"},
    "turn_half_but_one_by_exif": {"exif-tagged"},
}


def found(diagnosis: Diagnosis) -> dict[str, list[Finding]]:
    by_check: dict[str, list[Finding]] = {}
    for finding in diagnosis.findings:
        by_check.setdefault(finding.check, []).append(finding)
    return by_check


def grave(diagnosis: Diagnosis) -> set[str]:
    return {finding.check for finding in (*diagnosis.of("error"), *diagnosis.of("warning"))}


@pytest.mark.parametrize(
    ("plant", "check", "says"), PLANTED, ids=[f"{check}-{k}" for k, (_, check, _) in enumerate(PLANTED)]
)
def test_a_planted_fault_is_found_and_nothing_else_is_accused(plant: Plant, check: str, says: str, sound: Path) -> None:
    plant(sound)
    diagnosis = diagnose(str(sound))
    findings = found(diagnosis)
    assert check in findings, {name: [f.message for f in each] for name, each in findings.items()}
    assert any(re.search(says, finding.message) for finding in findings[check]), findings[check]
    allowed = {check} | COMPANY.get(plant.__name__, set())
    assert grave(diagnosis) <= allowed, {name: findings[name] for name in grave(diagnosis) - allowed}


def test_the_gain_told_of_unturned_masks_is_that_of_the_masks_named(sound: Path) -> None:
    faults.turn_half_but_one_by_exif(sound)
    (finding,) = found(diagnose(str(sound)))["exif-orientation"]
    assert finding.numbers["pictures"] == len(finding.pictures) == 9


def test_every_check_has_a_fault_that_it_finds() -> None:
    # those of objects are planted in test_objects.py
    of_objects = {name for name in CHECKS if name.startswith("object") or name == "picture-without-objects"}
    assert {check for _, check, _ in PLANTED} == set(CHECKS) - of_objects - {"damage-unknown"}
    assert len(of_objects) == 6


def test_what_nobody_could_look_into_is_said(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "simplejpeg", None)  # as if it were not installed
    assert diagnose(str(sound)).findings == ()  # there is no JPEG
    faults.damage(sound)
    assert [finding.message for finding in found(diagnose(str(sound)))["damage-unknown"]] == [
        "24 JPEGs not looked into"
    ]


def test_the_sound_set_is_sound(sound: Path) -> None:
    assert diagnose(str(sound)).findings == ()


def test_a_mask_turned_by_a_quarter(square: Path) -> None:
    assert diagnose(str(square)).findings == ()
    faults.quarter(square)
    diagnosis = diagnose(str(square))
    assert grave(diagnosis) == {"mask-turned"}
    assert "turned by 90° to the left" in diagnosis.findings[0].message


def test_a_part_of_the_masks_mirrored(sound: Path) -> None:
    faults.change_masks(sound, lambda mask: mask[:, ::-1], count=9)
    (finding,) = diagnose(str(sound)).findings
    assert finding.check == "mask-turned"
    assert "9 of 24 masks look mirrored" in finding.message
    assert finding.files == tuple(str(path) for path in faults.masks(sound)[:9])


def test_rightly_tagged_pictures_are_not_accused(sound: Path) -> None:
    faults.tag_rightly(sound)
    assert grave(diagnose(str(sound))) == set()


def test_files_and_numbers_of_findings(sound: Path) -> None:
    faults.unknown_area(sound)
    (finding,) = found(diagnose(str(sound)))["mask-values"]
    assert finding.split == "train"
    assert finding.files == tuple(str(path) for path in faults.masks(sound)[:2])
    assert finding.numbers == {"masks": 2}
    assert finding.pictures == (0, 1)


def test_duplicates_name_both_files(sound: Path) -> None:
    faults.leak(sound)
    (finding,) = found(diagnose(str(sound)))["duplicate-across-splits"]
    assert finding.groups == ((str(faults.images(sound)[5]), str(sound / "images/val/copy_of_it.png")),)


def test_a_fixed_camera_is_not_taken_for_copies(tmp_path: Path) -> None:
    # parts on one conveyor: the pictures differ in a few pixels, and are still different pictures
    rng = np.random.default_rng(0)
    scene = ProceduralData(ProceduralSpec(96, 128, 1), "train").read(0).image // 3  # dark
    for kind in ("images", "masks"):
        for split in ("train", "val"):
            (tmp_path / kind / split).mkdir(parents=True)
    (tmp_path / "classes.txt").write_text("belt\npart\n")
    for number in range(30):
        image, mask = scene.copy(), np.zeros((96, 128), np.uint8)
        y, x = 18 * (number // 6), 20 * (number % 6)
        image[y : y + 14, x : x + 14], mask[y : y + 14, x : x + 14] = (20, 200, 240), 1
        image = np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)
        split = "val" if number % 3 == 0 else "train"
        assert cv2.imwrite(str(tmp_path / f"images/{split}/part_{number:03d}.png"), image)
        faults.put(tmp_path / f"masks/{split}/part_{number:03d}.png", mask)
    diagnosis = diagnose(str(tmp_path))
    assert grave(diagnosis) == set(), diagnosis.findings
    assert "near-duplicate" not in found(diagnosis)


def test_texture_below_is_no_proof_of_masks_upside_down(tmp_path: Path) -> None:
    # faint things in the sky, a coarse lawn below: every mask would meet more edges upside down
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    (tmp_path / "classes.txt").write_text("rest\nballoon\n")
    for number in range(16):
        image, mask = np.full((96, 128, 3), 150.0), np.zeros((96, 128), np.uint8)
        image[48:] += rng.normal(0, 40, (48, 128, 1))
        cv2.circle(mask, (int(rng.integers(20, 108)), int(rng.integers(16, 32))), 12, 1, -1)
        image[mask == 1] += 5
        image += rng.normal(0, 2, image.shape)
        assert cv2.imwrite(str(tmp_path / f"images/{number}.png"), np.clip(image, 0, 255).astype(np.uint8))
        faults.put(tmp_path / f"masks/{number}.png", mask)
    diagnosis = diagnose(str(tmp_path))
    (alignment, *_) = [look.alignment for look in diagnosis.seen.looks]
    assert alignment is not None
    assert alignment.turned["upside down"] > alignment.score + 0.1  # what would have misled
    assert grave(diagnosis) == set(), diagnosis.findings


def test_one_split_alone_is_not_compared_with_others(sound: Path) -> None:
    faults.leak(sound)
    diagnosis = diagnose(str(sound), splits=("val",))
    assert grave(diagnosis) == set()
    assert diagnosis.counts == {"val": (7, 7)}


@settings(max_examples=4, deadline=None)
@given(
    seed=st.integers(0, 10_000), night=st.booleans(), size=st.sampled_from([(48, 64), (64, 64), (96, 128), (72, 48)])
)
def test_sound_procedural_sets_are_never_accused(seed: int, night: bool, size: tuple[int, int]) -> None:
    spec = f"procedural:{size[0]}x{size[1]},n=48,seed={seed}" + (",night" if night else "")
    diagnosis = diagnose(spec)
    assert grave(diagnosis) == set(), diagnosis.findings


# --- real pictures ---


@pytest.mark.realdata
def test_camvid_is_sound_but_for_the_scene_that_both_splits_have(real_data: Path) -> None:
    diagnosis = diagnose(str(real_data / "camvid"))
    assert diagnosis.counts == {"train": (367, 367), "val": (101, 101)}
    assert grave(diagnosis) == {"scene-across-splits"}
    (finding,) = diagnosis.of("warning")
    assert finding.numbers["pictures"] == 101


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "true"), [("voc-person", {"class-absent"}), ("tinycoco", {"class-absent", "class-not-in-train"})]
)
def test_small_public_sets_lack_classes_and_nothing_else(name: str, true: set[str], real_data: Path) -> None:
    assert grave(diagnose(str(real_data / name))) == true


@pytest.mark.realdata
def test_faults_planted_into_camvid(real_data: Path, tmp_path: Path) -> None:
    collection = open_collection(str(real_data / "camvid"))
    write_folder(collection, [item.split for item in collection.items], tmp_path / "set", pictures="link")
    faults.change_masks(tmp_path / "set", lambda mask: mask[:, ::-1])
    faults.change_masks(tmp_path / "set", lambda mask: np.roll(mask, 20, 0), "val")
    found = {(f.check, f.split) for f in diagnose(str(tmp_path / "set")).findings}
    assert {("mask-turned", "train"), ("mask-shifted", "val")} <= found
