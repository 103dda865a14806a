from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeseg.cli.app import run
from edgeseg.data.convert import write_folder
from edgeseg.data.items import open_collection
from edgeseg.data.open import open_data, splits


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twenty pictures in one flat folder."""
    collection = open_collection("procedural:32x48,n=20", splits=("train",))
    write_folder(collection, ["all"] * 20, tmp_path / "set")
    return tmp_path / "set"


@pytest.mark.parametrize("write", ["link", "copy"])
def test_a_new_folder_with_the_wished_shares(
    write: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--val", "0.2", "--test", "0.1", "--write", write, "--out", str(tmp_path / "new")]
    assert run(["data", "split", "--data", str(data), *flags]) == 0
    out = capsys.readouterr().out
    assert "train (70)" in out
    assert "14 = 70.0" in out
    assert splits(str(tmp_path / "new")) == ("train", "val", "test")
    assert [len(open_data(str(tmp_path / "new"), split)) for split in ("train", "val", "test")] == [14, 4, 2]
    picture = next((tmp_path / "new/images/val").iterdir())
    assert picture.is_symlink() is (write == "link")


def test_lists_in_the_folder_itself(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["data", "split", "--data", str(data), "--out", str(data), "--write", "lists", "--val", "0.25"]
    assert run([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pictures"] == {"train": 15, "val": 5}
    assert splits(str(data)) == ("train", "val")
    assert len(open_data(str(data), "val")) == 5
    assert run(command) == 2
    assert "is there already" in capsys.readouterr().err


def test_lists_that_nobody_would_read_are_refused(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("images", "masks"):
        (data / kind).rename(data / "train")
        (data / kind).mkdir()
        (data / "train").rename(data / kind / "train")
    assert run(["data", "split", "--data", str(data), "--out", str(data), "--write", "lists"]) == 2
    assert "is divided into folders already, and lists beside them are not read" in capsys.readouterr().err
    assert not list(data.glob("*.txt"))


def test_the_seed_decides(data: Path, tmp_path: Path) -> None:
    lists = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        flags = ["--out", str(tmp_path / name), "--write", "lists", "--seed", seed, "--group-by", "none"]
        assert run(["data", "split", "--data", str(data), *flags]) == 0
        lists.append((tmp_path / name / "val.txt").read_text())
    assert lists[0] == lists[1] != lists[2]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--val", "1.2"], "--val must be a share from 0 to less than 1, got 1.2"),
        (["--val", "0.5", "--test", "0.5"], "--val and --test together must leave pictures"),
        (["--group-by", "vidoe"], "'vidoe' is neither auto, scene, video, folder, none nor found in a path"),
        (["--group-by", "folder"], "20 pictures make 1 group, too few for 2 splits"),
        (["--seed", "-1"], "--seed must be 0 or more, got -1"),
        (["--workers", "0"], "--workers must be 1 or more, got 0"),
        (["--split", "tset"], "has no split 'tset'; it has all"),
    ],
)
def test_mistakes_exit_with_2_and_leave_nothing(
    flags: list[str], says: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", "split", "--data", str(data), "--out", str(tmp_path / "new"), *flags]) == 2
    assert says in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_an_existing_folder_is_kept(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(data.rglob("*"))
    assert run(["data", "split", "--data", str(data), "--out", str(data)]) == 2
    assert "is there already; name a new folder, or remove it" in capsys.readouterr().err
    assert sorted(data.rglob("*")) == before


def test_shares_that_groups_do_not_allow_are_told_of(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--out", str(tmp_path / "new"), "--val", "0.2", "--group-by", r"train_000[01]|(?<=_0001)\d"]
    assert run(["data", "split", "--data", str(data), *flags]) == 0
    err = capsys.readouterr().err
    assert "train and val could not be met: the largest of 2 groups has 10 of 20 pictures" in err
