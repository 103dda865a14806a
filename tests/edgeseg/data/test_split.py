from __future__ import annotations

import json
import shutil
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeseg.data.convert import write_folder
from edgeseg.data.division import RECORD, Division, Shares, record_text, write_lists
from edgeseg.data.doctor.run import diagnose
from edgeseg.data.items import Collection, open_collection
from edgeseg.data.open import open_data
from edgeseg.data.procedural import procedural_clip
from edgeseg.data.split import divide
from edgeseg_runtime.errors import ConfigError, DatasetError, OutputError


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flat folder: six drives of seven frames, drive_0_000 and so on, and one copy of a frame under another name."""
    root = tmp_path_factory.mktemp("drives")
    (root / "images").mkdir()
    (root / "masks").mkdir()
    (root / "classes.txt").write_text("\n".join(f"c{k}" for k in range(10)))
    for drive in range(6):
        for number, scene in enumerate(islice(procedural_clip(7, (48, 64), 100 + drive, fps=10.0), 7)):
            assert cv2.imwrite(str(root / f"images/drive_{drive}_{number:03d}.png"), scene.image)
            assert cv2.imwrite(str(root / f"masks/drive_{drive}_{number:03d}.png"), scene.mask)
    for kind in ("images", "masks"):
        shutil.copy(root / kind / "drive_2_003.png", root / kind / "same.png")
    return root


@pytest.fixture(scope="module")
def collection(drives: Path) -> Collection:
    return open_collection(str(drives))


def drive_of(division: Division, position: int) -> str:
    return division.collection.items[position].name[:7]


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1000), val=st.sampled_from([0.2, 0.35, 0.5]), by=st.sampled_from(["auto", "video", "scene"]))
def test_no_group_straddles_two_splits(seed: int, val: float, by: str, collection: Collection) -> None:
    division = divide(collection, Shares(val), by=by, seed=seed)
    assert None not in division.assignment
    for group in division.groups:
        assert len({division.assignment[k] for k in group}) == 1
    splits = {
        drive_of(division, k): {
            division.assignment[j] for j in range(43) if drive_of(division, j) == drive_of(division, k)
        }
        for k in range(42)
    }
    assert all(len(found) == 1 for found in splits.values())
    assert set(division.assignment) == {"train", "val"}


def test_auto_keeps_a_copy_with_its_original(collection: Collection) -> None:
    division = divide(collection, Shares(0.3))
    (group,) = [group for group in division.groups if 42 in group]
    assert {drive_of(division, k) for k in group} == {"drive_2", "same"}
    alone = divide(collection, Shares(0.3), by="scene")
    assert (42,) in alone.groups


def test_shares_of_single_pictures_are_near_the_wished_ones() -> None:
    division = divide(open_collection("procedural:32x48,n=60", splits=("train",)), Shares(0.2, 0.1), by="none")
    assert division.pictures == {"train": 42, "val": 12, "test": 6}
    total = division.pixels.sum(0)
    for split, share in division.shares.by_split.items():
        assert np.abs(division.class_pixels(split) / total - share).max() < 0.06


def test_the_same_seed_divides_the_same_way(collection: Collection) -> None:
    first, again = (divide(collection, Shares(0.3), seed=4, workers=w).assignment for w in (1, 4))
    assert first == again


def test_groups_by_an_expression(collection: Collection) -> None:
    division = divide(collection, Shares(0.5), by=r"drive_(\d)_")
    assert sorted(len(group) for group in division.groups) == [1, 7, 7, 7, 7, 7, 7]
    parity = divide(collection, Shares(0.5), by=r"drive_[024]|drive_[135]")
    assert sorted(len(group) for group in parity.groups) == [1, 7, 7, 7, 7, 7, 7]


def test_expressions_that_do_not_work(collection: Collection) -> None:
    with pytest.raises(ConfigError, match=r"'\(' is neither auto, scene, video, folder, none nor a regular expression"):
        divide(collection, Shares(0.5), by="(")
    with pytest.raises(ConfigError, match=r"'vidoe' is neither .* nor found in a path such as .*drive_0_000\.png"):
        divide(collection, Shares(0.5), by="vidoe")


def test_one_group_cannot_be_divided(collection: Collection) -> None:
    with pytest.raises(DatasetError, match="43 pictures make 1 group, too few for 2 splits; another --group-by"):
        divide(collection, Shares(0.2), by="folder")


@pytest.mark.parametrize(("val", "test"), [(0, 0), (1, 0), (0.6, 0.4), (-0.1, 0.2), (0.2, 1.5)])
def test_shares_that_leave_nothing(val: float, test: float) -> None:
    with pytest.raises(ConfigError, match=r"--(val|test)"):
        Shares(val, test)


def test_bad_files(drives: Path, tmp_path: Path) -> None:
    root = shutil.copytree(drives, tmp_path / "set")
    (root / "masks/drive_0_001.png").write_bytes(b"")
    broken = open_collection(str(root))
    with pytest.raises(DatasetError, match=r"(?s)1 bad file \(--skip-bad.*drive_0_001\.png: the file is empty"):
        divide(broken, Shares(0.3))
    division = divide(broken, Shares(0.3), skip_bad=True)
    assert division.assignment.count(None) == 1
    assert len(division.problems) == 1


# --- what is written ---


def test_lists_are_what_the_folder_reader_takes(drives: Path, tmp_path: Path) -> None:
    root = shutil.copytree(drives, tmp_path / "set")
    division = divide(open_collection(str(root)), Shares(0.3, 0.2), by="video")
    write_lists(division, root)
    for split, count in division.pictures.items():
        data = open_data(str(root), split)
        assert len(data) == count
        expected = {
            item.name for item, its in zip(division.collection.items, division.assignment, strict=True) if its == split
        }
        assert {data.name(k) for k in range(len(data))} == expected
    record = json.loads((root / RECORD).read_text())
    assert record["pictures"] == division.pictures
    assert record["group_by"] == "video"
    with pytest.raises(OutputError, match=r"train\.txt is there already"):
        write_lists(division, root)


def test_names_that_a_list_cannot_hold(drives: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="the name a is there twice"):
        write_lists(_renamed(tmp_path, "a", "a"), tmp_path / "lists")
    with pytest.raises(DatasetError, match="'a b' has a space"):
        write_lists(_renamed(tmp_path, "a b", "c"), tmp_path / "lists")
    assert not (tmp_path / "lists").exists()


def test_lists_that_no_layout_reads_are_refused(tmp_path: Path) -> None:
    collection = open_collection("procedural:32x32,n=4", splits=("train",))
    with pytest.raises(DatasetError, match="lists of names are read beside images/ and masks/ alone"):
        write_lists(divide(collection, Shares(0.5), by="none"), tmp_path / "lists")
    assert not (tmp_path / "lists").exists()


def _renamed(tmp_path: Path, first: str, second: str) -> Division:
    root = tmp_path / f"named_{first}"
    collection = open_collection("procedural:32x32,n=1", splits=("train", "val"))
    write_folder(collection, ["train", "val"], root)
    for split, name in (("train", first), ("val", second)):
        for kind in ("images", "masks"):
            (path,) = (root / kind / split).iterdir()
            path.rename(path.with_name(f"{name}.png"))
    return divide(open_collection(str(root)), Shares(0.5), by="none")


def test_a_divided_set_leaks_no_more(drives: Path, tmp_path: Path) -> None:
    # every fifth frame to val, as people do it: the doctor tells; divided anew, it does not
    collection = open_collection(str(drives))
    careless = ["val" if k % 5 == 0 else "train" for k in range(43)]
    write_folder(collection, careless, tmp_path / "careless")
    assert {"scene-across-splits"} <= {f.check for f in diagnose(str(tmp_path / "careless")).of("warning")}
    division = divide(open_collection(str(tmp_path / "careless")), Shares(0.3))
    write_folder(division.collection, division.assignment, tmp_path / "new", extra={RECORD: record_text(division)})
    told = {finding.check for finding in diagnose(str(tmp_path / "new")).findings}
    assert not {name for name in told if name.endswith("across-splits")}
    assert json.loads((tmp_path / "new" / RECORD).read_text())["groups"] == len(division.groups)
