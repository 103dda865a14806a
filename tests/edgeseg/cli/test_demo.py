from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from edgeseg.cli.app import run
from edgeseg.cli.demo import best_row, clear, int8_file
from edgeseg.cli.demo_clip import write_clip
from edgeseg.cli.demo_faults import refuse_faults
from edgeseg.cli.demo_steps import verb
from edgeseg.cli.demo_strip import BAND, GAP, TILE, legend, richest, write_strip
from edgeseg.data.procedural import ProceduralData, ProceduralSpec, procedural_clip
from edgeseg_export.parity.faults import swap_labels
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError, GateFailed

DATA = "procedural:64x96,n=40"


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory, untrained_run: Callable[[Path, str], Path]) -> Path:
    """A run that has learnt nothing, and its float file."""
    return untrained_run(tmp_path_factory.mktemp("run"), DATA)


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert run(["demo", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()[-1]


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "best.safetensors").write_bytes(b"weeks of work")
    assert "holds something that is no demo" in error_of(["--out", str(tmp_path), "--quick"], capsys)
    assert (tmp_path / "run" / "best.safetensors").read_bytes() == b"weeks of work"
    assert not (tmp_path / "demo.json").exists()


def test_a_file_in_the_way_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "demo").write_text("mine")
    assert "is a file" in error_of(["--out", str(tmp_path / "demo"), "--quick"], capsys)
    assert (tmp_path / "demo").read_text() == "mine"


def test_an_earlier_demo_is_replaced_and_what_it_did_not_make_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs" / "demo"
    clear(out)
    assert json.loads((out / "demo.json").read_text()) == {"finished": False}
    assert capsys.readouterr().err == ""  # nothing was there, so nothing is said
    (out / "run" / "export").mkdir(parents=True)
    (out / "annotated.mp4").touch()
    (out / "notes.txt").write_text("mine")
    clear(out)
    assert sorted(path.name for path in out.iterdir()) == ["demo.json", "notes.txt"]
    assert "replacing the demo" in capsys.readouterr().err


def test_an_empty_folder_will_do(tmp_path: Path) -> None:
    clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["demo.json"]


def test_a_verb_is_shown_and_its_error_comes_through(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="seconds must be more than 0"):
        verb("bench", str(tmp_path / "a folder"), "--seconds", "0")
    assert capsys.readouterr().err == f"$ edgeseg bench '{tmp_path}/a folder' --seconds 0\n"


def test_the_clip_holds_the_drive(tmp_path: Path) -> None:
    write_clip(tmp_path / "drive.mp4", 5, (64, 96), 25.0, seed=3)
    video = cv2.VideoCapture(str(tmp_path / "drive.mp4"))
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(25)
    read = []
    while (got := video.read())[0]:
        read.append(np.asarray(got[1], np.float64))
    expected = [scene.image.astype(np.float64) for scene in procedural_clip(5, (64, 96), 3, fps=25.0)]
    assert len(read) == 5
    # mp4v loses a little; another frame of the drive is further away
    assert np.abs(read[4] - expected[4]).mean() < np.abs(read[4] - expected[0]).mean()


def test_the_richest_scenes_are_chosen() -> None:
    data = ProceduralData(ProceduralSpec(48, 64, 40), "val")
    counts = [len(set(data.read(index).mask.ravel().tolist())) for index in range(len(data))]
    chosen = richest(data, 3)
    assert chosen == sorted(chosen) and len(set(chosen)) == 3
    left_out = [count for index, count in enumerate(counts) if index not in chosen]
    assert min(counts[index] for index in chosen) >= max(left_out)


def test_the_legend_shows_every_colour_inside_its_width() -> None:
    labels = ProceduralData(ProceduralSpec(), "val").labels
    contract = Contract(labels=labels, height=64, width=96)
    band = legend(contract, 4 * (TILE[1] + 8) + 8)
    for label in labels:
        assert (band == label.color[::-1]).all(axis=2).any(), label.name
    assert (band[:, -4:] == 255).all()  # nothing runs over the edge


def test_what_to_deploy_and_what_to_show_come_from_the_bench() -> None:
    def row(name: str, precision: str, p50: float) -> dict[str, Any]:
        return {
            "name": name,
            "engine": "openvino",
            "threads": 2,
            "precision": precision,
            "p50_ms": p50,
            "file": f"{name}.xml",
        }

    bench = {
        "rows": [row("a", "int8", 2.0), row("b", "int8", 1.0), row("c", "bf16", 0.9), row("d", "float32", 3.0)],
        "verdicts": [{"use": "a · openvino · 1"}, {"use": "c · openvino · 2"}],
    }
    assert best_row(bench)["name"] == "c"
    assert int8_file(bench) == Path("b.xml")


def test_a_spoilt_copy_is_refused_and_the_sound_file_stays(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("edgeseg.cli.demo_faults.FAULTS", {"labels": ("two labels are exchanged", swap_labels)})
    before = (run_folder / "model.onnx").read_bytes()
    (refusal,) = refuse_faults(run_folder, run_folder / "model.onnx", tmp_path)
    assert refusal.name == "labels" and refusal.failures[0].startswith("pixel agreement, mean over pictures: 0.")
    assert "refused, as it should be: two labels are exchanged\n  pixel agreement" in capsys.readouterr().err
    assert (run_folder / "model.onnx").read_bytes() == before
    assert (tmp_path / "labels" / "model.onnx").is_file() and (tmp_path / "report.html").is_file()


def test_a_gate_that_lets_a_fault_pass_fails_the_demo(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeseg.cli.demo_faults.FAULTS", {"none": ("nothing is wrong", lambda _model: None)})
    with pytest.raises(GateFailed, match="let none pass, although nothing is wrong"):
        refuse_faults(run_folder, run_folder / "model.onnx", tmp_path)


def test_the_picture_shows_truth_and_both_masks(run_folder: Path, tmp_path: Path) -> None:
    write_strip(tmp_path / "demo.png", run_folder, run_folder / "model.onnx", DATA)
    picture = cv2.imread(str(tmp_path / "demo.png"))
    assert picture is not None and picture.shape[1] <= 1200

    def tile(row: int, column: int) -> np.ndarray[Any, Any]:
        y, x = BAND + row * (TILE[0] + GAP), GAP + column * (TILE[1] + GAP)
        return np.asarray(picture[y : y + TILE[0], x : x + TILE[1]])

    colours = {label.color[::-1] for label in ProceduralData(ProceduralSpec(), "val").labels}
    for row in range(3):
        # the same model on both sides: a file of the original in float draws the same masks
        assert np.abs(tile(row, 2).astype(int) - tile(row, 3)).mean() < 0.5
        assert not np.array_equal(tile(row, 1), tile(row, 2))
        pixels, counts = np.unique(tile(row, 1).reshape(-1, 3), axis=0, return_counts=True)
        assert tuple(pixels[counts.argmax()].tolist()) in colours


@pytest.mark.slow
def test_the_whole_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, threads = tmp_path / "demo", torch.get_num_threads()
    assert run(["demo", "--quick", "--json", "--out", str(out)]) == 0
    assert torch.get_num_threads() == threads  # though PyTorch was measured on other numbers of them
    stdout, err = capsys.readouterr()
    answer = json.loads(stdout)
    assert answer == json.loads((out / "demo.json").read_text(encoding="utf-8"))
    assert answer["finished"] and set(answer["seconds"]) == {"train", "export", "gate", "bench", "stream", "picture"}
    for path in answer["files"].values():
        assert Path(path).stat().st_size > 0, path
    # sound files passed, spoilt ones did not, and lie where no device looks
    parity = json.loads((out / "run" / "export" / "parity.json").read_text(encoding="utf-8"))
    assert {"onnx-float32", "onnx-int8", "openvino-float32", "openvino-int8"} <= set(parity)
    assert all(entry["verdict"]["passed"] for entry in parity.values())
    assert [refusal["name"] for refusal in answer["refused"]] == ["red-and-blue-swapped", "wrong-int8-scale"]
    assert all(refusal["failures"] for refusal in answer["refused"])
    assert err.count("refused, as it should be") == 2
    # ten classes by chance alone would score far less
    assert all(value > 0.2 for value in answer["mean_iou"].values())
    video = cv2.VideoCapture(answer["files"]["annotated video"])
    frames = 0
    while video.read()[0]:
        frames += 1
    assert frames == 20
    picture = cv2.imread(answer["files"]["picture"])
    assert picture is not None and picture.shape[1] <= 1200
