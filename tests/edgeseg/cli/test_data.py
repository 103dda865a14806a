from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.cli.app import run
from tests.edgeseg.data.samples import rows, write, write_mask, write_picture


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two splits of two classes; val has a bad file."""
    home = tmp_path / "set"
    write(home / "classes.txt", "road\ncar\n")
    for split, name, mask in (("train", "a", rows("0011")), ("train", "b", rows("x000")), ("val", "c", rows("1111"))):
        write_picture(home / f"images/{split}/{name}.jpg", *mask.shape)
        write_mask(home / f"masks/{split}/{name}.png", mask)
    write_picture(home / "images/val/bad.jpg", 4, 4)
    return home


def lines(text: str) -> list[str]:
    """Return a table's rows, cells divided by one blank."""
    return [" ".join(line.replace("│", " ").split()) for line in text.splitlines()]


@pytest.fixture
def real_sets() -> Path:
    """The folder of real pictures."""
    folder = Path(os.environ.get("EDGESEG_DATA", Path(__file__).parents[3] / "../shared/data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real pictures at {folder}; set EDGESEG_DATA")
    return folder


# --- stats ---


def test_stats_as_a_table(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "stats", "--data", str(root), "--split", "train"]) == 0
    out = lines(capsys.readouterr().out)
    assert out[0] == "train: 2 pictures, 4×1"
    assert "road 71.43 5 100.00 2" in out
    assert "car 28.57 2 50.00 1" in out
    assert out[-1] == "ignored: 12.50 % of all pixels"


def test_stats_of_all_splits_as_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "stats", "--data", str(root), "--skip-bad", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert list(answer["splits"]) == ["train", "val"]
    train, val = answer["splits"].values()
    assert train["classes"] == [
        {"name": "road", "pixels": 5, "pictures": 2},
        {"name": "car", "pixels": 2, "pictures": 1},
    ]
    assert train["sizes"] == [{"width": 4, "height": 1, "pictures": 2}]
    assert (train["ignored_pixels"], train["bad_files"]) == (1, [])
    assert [bad["path"] for bad in val["bad_files"]] == [f"{root}/images/val/bad.jpg"]


def test_stats_of_a_bad_split(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "stats", "--data", str(root), "--split", "val"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "split val: 1 bad file (--skip-bad goes on without)\n" in said.err
    assert f"{root}/images/val/bad.jpg: has no mask in" in said.err
    assert run(["data", "stats", "--data", str(root), "--split", "val", "--skip-bad"]) == 0
    assert "val: 1 bad files left out" in capsys.readouterr().err


def test_a_name_in_brackets_is_shown(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(root / "classes.txt", "road [dry]\n[bold]\n")
    assert run(["data", "stats", "--data", str(root), "--split", "train"]) == 0
    out = lines(capsys.readouterr().out)
    assert "road [dry] 71.43 5 100.00 2" in out
    assert "[bold] 28.57 2 50.00 1" in out


def test_stats_of_many_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "classes.txt", "road\n")
    for width in (4, 5, 6, 7, 7):
        for name in (f"w{width}", f"w{width}b")[: 1 + (width == 7)]:
            write_picture(tmp_path / f"images/{name}.jpg", 2, width)
            write_mask(tmp_path / f"masks/{name}.png", np.zeros((2, width)))
    assert run(["data", "stats", "--data", str(tmp_path)]) == 0
    assert lines(capsys.readouterr().out)[0] == "all: 5 pictures, 7×2 (2), 4×2 (1), 5×2 (1) and 1 more sizes"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "/no/such"], "there is no folder '/no/such'"),
        (["--data", ".", "--format", "cocoa"], "unknown data format 'cocoa'; known: auto, procedural"),
        ([], "--data must be given"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in (["stats"], ["preview", "--out", "x.png"]):
        assert run(["data", *verb, *arguments]) == 2
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1


def test_flags_from_a_file(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "c.yaml", "split: train\njson: true\n")
    assert run(["data", "stats", "--data", str(root), "--config", str(file)]) == 0
    assert list(json.loads(capsys.readouterr().out)["splits"]) == ["train"]


def test_the_folder_too_may_stand_in_a_file(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "c.toml", f"data = '{root}'\nsplit = 'train'\njson = true\n")
    assert run(["data", "stats", "--config", str(file)]) == 0
    assert json.loads(capsys.readouterr().out)["data"] == str(root)
    assert run(["data", "stats", "--config", str(file), "--data", "procedural:32x32,n=4"]) == 0  # the command line wins
    assert json.loads(capsys.readouterr().out)["data"] == "procedural:32x32,n=4"


# --- preview ---


def test_preview_draws_a_page(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new/page.png"
    assert run(["data", "preview", "--data", str(root), "--out", str(out), "--columns", "3"]) == 0
    assert f"{out}: 2 of 2 pictures of train" in capsys.readouterr().err
    page = cv2.imread(str(out))
    assert page is not None and page.shape[1] == 2 * 328  # no wider than there are pictures
    assert run(["data", "preview", "--data", "procedural:48x64,n=40", "--out", str(out), "--count", "5"]) == 0
    assert "5 of " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--out", "x.gif"], "--out must end in .png or .jpg, got 'x.gif'"),
        (["--out", "x.png", "--count", "0"], "--count must be between 1 and 200, got 0"),
        (["--out", "x.png", "--columns", "0"], "--columns must be at least 1, got 0"),
        (["--out", "x.png", "--split", "tset"], "the split 'tset' is not there; splits that hold pictures: train, val"),
    ],
)
def test_preview_mistakes(flags: list[str], said: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "preview", "--data", str(root), *flags]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_preview_of_a_picture_that_is_bad_names_it(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_mask(root / "masks/train/a.png", rows("0099"))
    assert run(["data", "preview", "--data", str(root), "--out", str(root / "x.png")]) == 2
    assert "a.png: label outside the class table: 9 (2 px)" in capsys.readouterr().err
    assert not (root / "x.png").exists()


# --- download, and the verbs together ---


def test_download_says_what_it_can_fetch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "download", "vok", "--out", str(tmp_path / "x")]) == 2
    assert capsys.readouterr().err == "edgeseg: unknown data set 'vok'; known: voc, sbd, pets\n"


def test_download_without_a_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    monkeypatch.setattr(datasets.OxfordIIITPet, "_RESOURCES", (("http://127.0.0.1:9/images.tar.gz", "0"),))
    assert run(["data", "download", "pets", "--out", str(tmp_path / "pets")]) == 2
    fetching, failed = capsys.readouterr().err.splitlines()
    assert fetching.startswith("fetching Oxford-IIIT Pet")
    assert failed.startswith("edgeseg: pets could not be downloaded: ")
    assert not (tmp_path / "pets").exists()


@pytest.mark.parametrize("verb", ["stats", "preview", "download"])
def test_every_verb_has_a_line_and_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "--help"]) == 0
    assert f" {verb} " in " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert run(["data", verb, "--help"]) == 0
    assert f"edgeseg data {verb} " in capsys.readouterr().out.split("example:", 1)[1]


def test_an_unknown_verb_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "statz"]) == 2
    err = capsys.readouterr().err
    assert "statz" in err and err.count("\n") == 1


@pytest.mark.realdata
def test_real_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str], real_sets: Path) -> None:
    assert run(["data", "stats", "--data", str(real_sets / "camvid"), "--split", "val", "--json"]) == 0
    val = json.loads(capsys.readouterr().out)["splits"]["val"]
    assert val["pictures"] == 101
    assert val["sizes"] == [{"width": 480, "height": 360, "pictures": 101}]
    assert sum(c["pixels"] for c in val["classes"]) + val["ignored_pixels"] == 101 * 480 * 360
    for name in ("tinycoco", "voc-person"):
        out = tmp_path / f"{name}.png"
        assert run(["data", "preview", "--data", str(real_sets / name), "--out", str(out)]) == 0
        page = cv2.imread(str(out))
        assert page is not None and page.std() > 20
