"""`edgeseg data` on objects."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.cli.app import run
from tests.edgeseg.cli.test_data import lines
from tests.edgeseg.data.instances.test_coco import annotation, outline
from tests.edgeseg.data.instances.test_coco import put as put_coco
from tests.edgeseg.data.instances.test_pennfudan import put as put_people


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Two pictures of which one shows two cats, a dog and a crowd."""
    boxes = [(3, 0, 0, 2, 2), (3, 2, 2, 6, 4), (7, 4, 0, 6, 1)]
    marks = [annotation(number, kind, [outline(*box)]) for number, (kind, *box) in enumerate(boxes)]
    return put_coco(tmp_path / "coco", *marks, annotation(9, 7, [outline(0, 3, 2, 4)], iscrowd=1), pictures=2)


# --- stats ---


def test_stats_of_objects_as_a_table(coco: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "stats", "--data", str(coco), "--task", "instance"]) == 0
    out = lines(capsys.readouterr().out)
    assert out[0] == "train: 2 pictures, 3 objects, 6×4"
    assert "cat 2 66.67 2 0 0 1" in out and "dog 1 33.33 1 0 0 1" in out
    assert "objects in a picture: 1.5 on average, 3 in the median, 3 at most; none in 1 pictures" in out
    assert out[-1] == "small is below 32², large from 96² pixels on; crowds: 1"


def test_stats_of_objects_as_json(coco: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "stats", "--data", str(coco), "--task", "instance", "--json"]) == 0
    train = json.loads(capsys.readouterr().out)["splits"]["train"]
    assert train["classes"][0] == {"name": "cat", "objects": 2, "small": 2, "medium": 0, "large": 0, "pictures": 1}
    assert (train["objects"], train["crowds"], train["objects_in_a_picture"]) == (3, 1, {"0": 1, "3": 1})


def test_a_set_that_can_be_read_as_both_is_read_as_classes(coco: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "stats", "--data", str(coco)]) == 0
    assert "% of labelled pixels" in capsys.readouterr().out


def test_a_set_of_objects_alone_is_read_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(put_people(tmp_path, "A1", "A2"))
    for flags in ([], ["--format", "pennfudan"]):
        assert run(["data", "stats", "--data", root, *flags]) == 0
        assert lines(capsys.readouterr().out)[0] == "train: 2 pictures, 4 objects, 4×3"
    assert run(["data", "stats", "--data", root, "--task", "semantic"]) == 2
    assert "fits no known layout" in capsys.readouterr().err


def test_bad_files_stop_stats_unless_skipped(coco: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (coco / "images/train2017/2.jpg").write_bytes(b"no picture")
    command = ["data", "stats", "--data", str(coco), "--task", "instance"]
    assert run(command) == 2
    assert "2.jpg: cannot be decoded" in capsys.readouterr().err
    assert run([*command, "--skip-bad"]) == 0
    assert "train: 1 bad files left out" in capsys.readouterr().err


def test_an_unknown_task_names_the_known_ones(coco: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "stats", "--data", str(coco), "--task", "panoptic"]) == 2
    err = capsys.readouterr().err
    assert "semantic" in err and "instance" in err and err.count("\n") == 1


# --- preview ---


def test_preview_of_objects(coco: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "page.png"
    assert run(["data", "preview", "--data", str(coco), "--task", "instance", "--out", str(out)]) == 0
    assert f"{out}: 2 of 2 pictures of train" in capsys.readouterr().err
    page = cv2.imread(str(out))
    assert page is not None and page.shape[1] == 2 * 328
    command = ["data", "preview", "--data", "procedural:48x64,n=8", "--task", "instance", "--out", str(out)]
    assert run([*command, "--count", "3", "--columns", "2"]) == 0
    assert "3 of 8 pictures of train" in capsys.readouterr().err


def test_preview_of_a_bad_picture_names_it(coco: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_coco(coco, annotation(1, 3, [[1, 1, 2, 2]]), pictures=1)
    assert run(["data", "preview", "--data", str(coco), "--task", "instance", "--out", str(coco / "x.png")]) == 2
    assert "1.jpg, annotation 1: a shape of at least 3 points is needed, got 2" in capsys.readouterr().err
    assert not (coco / "x.png").exists()


# --- convert and split ---


def test_convert_to_coco(coco: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people = put_people(tmp_path / "people", *(f"A{number}" for number in range(1, 6)))
    assert run(["data", "convert", "--data", str(people), "--out", str(tmp_path / "out"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["to"], answer["pictures"]) == ("coco", {"train": 4, "val": 1})
    assert run(["data", "convert", "--data", str(coco), "--to", "coco", "--out", str(tmp_path / "again")]) == 0
    assert f"{tmp_path}/again: train 2" in capsys.readouterr().err
    for out, objects in ((tmp_path / "out", 8), (tmp_path / "again", 3)):
        assert run(["data", "stats", "--data", str(out), "--split", "train", "--task", "instance", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["splits"]["train"]["objects"] == objects


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--to", "coco", "--task", "semantic"], "--to coco writes objects; read them with --task instance"),
        (["--to", "folder", "--task", "instance"], "--to folder writes classes of pixels"),
    ],
)
def test_convert_mistakes(flags: list[str], said: str, coco: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "convert", "--data", str(coco), "--out", str(coco / "out"), *flags]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_split_of_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["data", "split", "--data", "procedural:48x64,n=8", "--split", "train", "--task", "instance"]
    command += ["--val", "0.25", "--group-by", "none", "--out"]
    for name in ("one", "two"):
        assert run([*command, str(tmp_path / name), "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["pictures"] == {"train": 6, "val": 2} and list(answer["class_shares"]["val"]) == ["car", "person"]
    for split, count in (("train", 6), ("val", 2)):
        texts = [(tmp_path / name / f"annotations/instances_{split}.json").read_text() for name in ("one", "two")]
        assert texts[0] == texts[1] and len(json.loads(texts[0])["images"]) == count
    assert json.loads((tmp_path / "one/split.json").read_text())["groups"] == 8
    assert run([*command, str(tmp_path / "lists"), "--write", "lists"]) == 2
    assert "--write lists is for masks" in capsys.readouterr().err


# --- check ---


def test_check_of_objects(coco: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, second = tmp_path / "x.html", coco / "images/train2017/2.jpg"
    assert cv2.imwrite(str(second), np.zeros((4, 6, 3), np.uint8))  # not the same picture twice
    assert run(["data", "check", "--data", str(coco), "--task", "instance", "--out", str(page)]) == 0
    out = capsys.readouterr().out
    assert "info: object-tiny\n  images/train2017/1.jpg: 3 objects on 1 of 2 pictures" in out
    assert "0 errors, 0 warnings, 2 remarks" in out
    assert f"edgeseg data check --data {coco} --task instance" in page.read_text()
    put_coco(coco, annotation(1, 3, [[1, 1, 2, 2]]), pictures=2)
    assert run(["data", "check", "--data", str(coco), "--task", "instance", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["errors"] == 1 and answer["findings"][0]["check"] == "unusable-file"
