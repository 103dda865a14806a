"""Exporting, proving and measuring models that tell objects apart, by the verbs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgeseg.cli.app import run
from edgeseg.data.instances.procedural import ProceduralObjects
from edgeseg.data.procedural import ProceduralSpec
from edgeseg.models.instances.registry import build_instance
from edgeseg.training.checkpoint import BEST, Checkpoint, save_checkpoint
from edgeseg_export.instances.deployable import InstanceDeployable
from edgeseg_export.instances.parity.faults import move_thresholds, shift_boxes
from edgeseg_export.onnx_file import export_onnx
from edgeseg_export.parity.faults import plant
from edgeseg_runtime.contract import Contract, Selection
from edgeseg_runtime.preprocess import to_input

DATA, MODEL = "procedural:64x96,n=72", "yolact_shufflenet_v2_x0_5"
OPEN = ["--min-mask-iou", "0", "--max-changed-objects", "100", "--max-class-flips", "100", "--max-score-drift", "100"]
OPEN += ["--max-box-drift", "100", "--max-box-shift", "100", "--max-ap-drop", "100"]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    """A run that has learnt nothing, and its float file: some of its noise it takes for objects, surely."""
    folder = tmp_path_factory.mktemp("objects")
    data = ProceduralObjects(ProceduralSpec.parse(DATA), "train")
    selection = Selection((0.3,) * len(data.labels), overlap=0.3)
    contract = Contract(data.labels, 64, 96, task="instance", output="prototypes", selection=selection)
    torch.manual_seed(0)
    net: Any = build_instance(MODEL, len(data.labels), contract.size)
    module = InstanceDeployable(net, contract)
    frames = torch.from_numpy(np.stack([to_input(data.read(index).image, contract) for index in range(8)]))
    with torch.no_grad():
        for _ in range(20):  # statistics of real pictures
            module.raw(frames)
        for head in net.maps.heads:
            head.logits.weight.mul_(25)
            head.logits.bias.fill_(-2)
            head.coefficients.weight.mul_(10)
    config = {"data": DATA, "split": "train", "val_split": "val"}
    save_checkpoint(folder / BEST, net.eval(), Checkpoint(MODEL, contract, 1, {}, config))
    export_onnx(module.eval(), folder / "model.onnx")
    return folder


class TestExport:
    @pytest.mark.slow
    def test_it_writes_what_a_semantic_run_gets(
        self, run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shutil.copytree(run_folder, tmp_path / "run")
        assert run(["export", str(tmp_path / "run"), "--json", *OPEN]) == 0
        shown = capsys.readouterr()
        answer = json.loads(shown.out)
        entry = answer["parity"]["onnx-float32"]
        assert entry["verdict"]["passed"] is True
        assert entry["objects"]["original"] > 20
        assert entry["against_truth"]["pictures"] == entry["pictures"] == 18
        assert "objects, 0 missed, 0 extra, mask IoU 1.0000" in shown.err
        written = {path.name for path in (tmp_path / "run" / "export").iterdir()}
        assert {"onnx-float32", "openvino-float32", "manifest.json", "parity.json", "report.html"} <= written

    @pytest.mark.parametrize(
        ("given", "complaint"),
        [
            (
                ["--output", "mask"],
                "--output is about classes of pixels; yolact_shufflenet_v2_x0_5 tells",
            ),
            (["--min-agreement", "0.9"], "--min-agreement is about classes of pixels"),
            (["--dynamic-size"], "depends on the input's size; leave it fixed"),
            (["--max-ap-drop", "101"], "--max-ap-drop must lie between 0 and 100"),
            (["--data", "{tmp}/gone"], "gone"),
        ],
    )
    def test_mistakes_are_one_line(
        self, run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], complaint: str
    ) -> None:
        flags = [text.format(tmp=tmp_path) for text in given]
        assert run(["export", str(run_folder), "--out", str(tmp_path / "out"), *flags]) == 2
        assert complaint in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_bounds_of_objects_are_not_for_semantic_runs(
        self, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["export", str(tiny_run), "--out", str(tmp_path / "out"), "--max-ap-drop", "1"]) == 2
        assert "--max-ap-drop is about objects; " in capsys.readouterr().err


class TestParity:
    def test_the_sound_file_passes(self, run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        report = tmp_path / "report.html"
        assert run(["parity", str(run_folder), str(run_folder / "model.onnx"), "--report", str(report)]) == 0
        shown = capsys.readouterr()
        assert "on 18 pictures" in shown.out
        assert "mask AP" in shown.out
        assert "Objects of 1 exported files" in report.read_text(encoding="utf-8")

    def test_a_faulty_file_fails_with_its_numbers(
        self, run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        faulty = plant(run_folder / "model.onnx", tmp_path / "faulty.onnx", shift_boxes)
        assert run(["parity", str(run_folder), str(run_folder / "model.onnx"), str(faulty), "--json"]) == 1
        shown = capsys.readouterr()
        assert "1 of 2 files do not show the original's objects" in shown.err
        assert f"{faulty}: " in shown.err
        assert "boxes shifted, input pixels: 0." in shown.err
        assert json.loads(shown.out)[str(faulty)]["verdict"]["passed"] is False

    def test_another_selection_is_named(
        self, run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        moved = tmp_path / "moved.onnx"
        plant(run_folder / "model.onnx", moved, lambda model: move_thresholds(model, 0.11))
        assert run(["parity", str(run_folder), str(moved)]) == 1
        assert "selects objects by" in capsys.readouterr().err

    def test_measuring_edges_is_for_masks(self, run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        flags = ["--edge-distance", "5"]
        assert run(["parity", str(run_folder), str(run_folder / "model.onnx"), *flags]) == 2
        assert "--edge-distance is about classes of pixels" in capsys.readouterr().err


class TestBench:
    def test_it_scores_objects(self, run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        flags = ["--data", DATA, "--seconds", "0.02", "--threads", "1", "--out", str(tmp_path), "--json"]
        assert run(["bench", str(run_folder / "model.onnx"), *flags]) == 0
        rows = json.loads(capsys.readouterr().out)["rows"]
        assert {row["engine"] for row in rows} == {"pytorch", "onnxruntime", "openvino"}
        scores = [row["mask_ap"] for row in rows]
        assert all(score is not None for score in scores)
        assert scores == pytest.approx([scores[0]] * len(scores), abs=1e-4)
        assert {row["mean_iou"] for row in rows} == {None}

    def test_it_runs_without_torch(self, run_folder: Path, tmp_path: Path) -> None:
        import subprocess
        import sys

        flags = ["--data", DATA, "--seconds", "0.02", "--threads", "1", "--out", str(tmp_path), "--original", "none"]
        program = (
            "import sys; sys.modules['torch'] = None; from edgeseg.cli.app import run; "
            f"sys.exit(run({['bench', str(run_folder / 'model.onnx'), '--engine', 'onnxruntime', *flags]!r}))"
        )
        assert subprocess.run([sys.executable, "-c", program], check=False, timeout=120).returncode == 0
        assert json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))["rows"][0]["mask_ap"] is not None
