"""The measuring script, end to end on a net that knows nothing: what it writes, not how fast anything is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import stream_floor
from edgeseg.models import build
from edgeseg.training.checkpoint import BEST, Checkpoint, load_semantic, save_checkpoint
from edgeseg_export.deployable import TorchSegmenter
from edgeseg_export.onnx_file import export_onnx
from edgeseg_runtime.contract import Contract, Label

if TYPE_CHECKING:
    from tests.conftest import ColourClip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    contract = Contract(tuple(Label(name, (0, 0, 0)) for name in "abcd"), height=64, width=96)
    net = build("fast_scnn", 4, contract.size)
    save_checkpoint(tmp_path / "run" / BEST, net, Checkpoint("fast_scnn", contract, 1))
    return tmp_path / "run"


@pytest.mark.slow
def test_everything_is_measured_and_written_down(run: Path, colour_clip: ColourClip, tmp_path: Path) -> None:
    module, _ = load_semantic(run)
    export_onnx(module, tmp_path / "model.onnx")
    clip = colour_clip(tmp_path / "clip.mp4", frames=20)
    out = tmp_path / "result.json"
    code = stream_floor.measure(run, config=stream_floor.FloorConfig(tmp_path / "model.onnx", clip, 2, out))
    result = json.loads(out.read_text(encoding="utf-8"))
    shares = [result["outputs"][name]["share_of_bound"] for name in ("none", "video")]
    assert code == (0 if min(shares) >= 0.95 and result["times_naive"] >= 3 else 1)
    assert result["clip"] == "clip.mp4"
    for name, output in result["outputs"].items():
        assert len(output["turns"]) == 2
        turns = [turn["stream_fps"] / turn["bound_fps"] for turn in output["turns"]]
        assert output["share_of_bound"] == pytest.approx(np.median(turns), rel=1e-3)
        assert (output["costs"]["encode_ms"] > 0) == (name == "video")
    fps = result["outputs"]["none"]["stream_fps"]
    assert result["times_naive"] == pytest.approx(fps / result["naive_fps"], rel=1e-3)


@pytest.mark.slow
def test_the_naive_export_is_the_same_net(run: Path, tmp_path: Path) -> None:
    naive = stream_floor.export_naive(run, tmp_path / "naive.onnx")
    original = TorchSegmenter(load_semantic(run)[0])
    for seed in range(3):
        frame = np.random.default_rng(seed).integers(0, 256, (60, 80, 3), np.uint8)
        assert (naive(frame) != original(frame)).mean() < 5e-3
