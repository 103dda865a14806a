from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from edgeseg.data.base import Sample
from edgeseg.data.clips import Clip, find_clips, name_parts
from edgeseg.data.files import MaskFiles, Pair, PictureSet
from edgeseg.data.items import Item
from edgeseg.data.likeness import Fingerprint, fingerprint
from edgeseg.data.masks import MaskReader
from edgeseg.data.procedural import ProceduralData, ProceduralSpec, procedural_clip


def item(path: str, split: str = "train") -> Item:
    pair = Pair(Path(path), Path("m.png"))
    return Item(split, PictureSet((), "", (pair,), MaskFiles(MaskReader({}))), 0, pair)


def drive(frames: int, seed: int = 3) -> list[Fingerprint]:
    scenes = islice(procedural_clip(frames, (48, 64), seed, fps=5.0), frames)
    return [fingerprint(scene.image) for scene in scenes]


def streets(count: int) -> list[Fingerprint]:
    data = ProceduralData(ProceduralSpec(48, 64, count), "train")
    samples: list[Sample] = [data.read(index) for index in range(count)]
    return [fingerprint(sample.image) for sample in samples]


def test_names_fall_into_clip_and_number() -> None:
    items = [
        item("d/train/0016E5_07959.png"),
        item("d/train/sub/f0001_left.png"),
        item("d/train/sky.png"),
        item("d/val/0016E5_08190.png", "val"),
    ]
    assert name_parts(items) == [("0016E5_*", 7959), ("sub/f*_left", 1), None, ("0016E5_*", 8190)]


@pytest.mark.parametrize(
    "name",
    ["0001TP_{:06d}_leftImg8bit", "drive_mp4-{0:05d}_jpg.rf.{0:032x}", "aachen_{:06d}_000019_leftImg8bit", "v2_f{}"],
)
def test_what_follows_a_frames_number_is_not_taken_for_it(name: str) -> None:
    prints = drive(10)
    items = [item(f"d/train/{name.format(k + 3)}.png") for k in range(10)]
    (clip,) = find_clips(items, dict(enumerate(prints)))
    assert clip.numbers == tuple(range(3, 13))


def test_frames_of_many_videos_are_told_apart_by_their_last_number() -> None:
    items = [item(f"d/train/v{video}_f{frame}.png") for video in range(9) for frame in range(3)]
    assert name_parts(items)[4] == ("v1_f*", 1)


def test_a_drive_is_a_clip_whatever_its_splits() -> None:
    prints = drive(10)
    items = [item(f"d/{'train' if k < 6 else 'val'}/f_{k:03d}.png", "train" if k < 6 else "val") for k in range(10)]
    (clip,) = find_clips(items, dict(enumerate(prints)))
    assert clip.name == "f_*"
    assert clip.frames == tuple(range(10))
    assert clip.scenes() == [tuple(range(10))]


def test_numbered_pictures_are_no_clip() -> None:
    prints = streets(40)
    assert find_clips([item(f"d/train/img_{k:03d}.png") for k in range(40)], dict(enumerate(prints))) == []


def test_two_kinds_of_places_are_no_clips() -> None:
    night = ProceduralData(ProceduralSpec(48, 64, 20, night=True), "train")
    prints = [*streets(20), *(fingerprint(night.read(k).image) for k in range(20))]
    items = [item(f"d/train/{'day' if k < 20 else 'night'}_{k:03d}.png") for k in range(40)]
    assert find_clips(items, dict(enumerate(prints))) == []


def test_a_few_frames_are_not_enough_to_tell() -> None:
    items = [item(f"d/train/f_{k}.png") for k in range(4)]
    assert find_clips(items, dict(enumerate(drive(4)))) == []


def test_pictures_that_cannot_be_read_are_left_out() -> None:
    prints = dict(enumerate([*drive(10), *streets(20)]))
    del prints[4]
    items = [item(f"d/train/{'f' if k < 10 else 'img'}_{k}.png") for k in range(30)]
    (clip,) = find_clips(items, prints)
    assert clip.frames == (0, 1, 2, 3, 5, 6, 7, 8, 9)


@pytest.mark.parametrize(
    ("numbers", "distances", "pieces"),
    [
        ((1, 2, 3, 4), (0.1, 0.1, 0.1), [(0, 1, 2, 3)]),
        ((1, 2, 3, 40), (0.1, 0.1, 0.1), [(0, 1, 2), (3,)]),  # a gap in the numbers
        ((1, 2, 3, 4), (0.1, 0.6, 0.1), [(0, 1), (2, 3)]),  # another view
    ],
)
def test_scenes(numbers: tuple[int, ...], distances: tuple[float, ...], pieces: list[tuple[int, ...]]) -> None:
    assert Clip("f", tuple(range(len(numbers))), numbers, distances, usual=0.5).scenes() == pieces
