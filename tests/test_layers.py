"""The device floors work without torch and its friends. (import-linter reads the imports; this test runs them.)"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgeseg_runtime.contract import Contract

if TYPE_CHECKING:
    from tests.conftest import TinyModel

WITHOUT = (
    "torch",
    "torchvision",
    "onnx",
    "onnxscript",
    "onnxsim",
    "nncf",
    "timm",
    "lightning",
    "edgeseg",
    "edgeseg_export",
)

DEVICE = f"""
import importlib, pkgutil, sys
for name in {WITHOUT!r}:
    sys.modules[name] = None  # an import of it raises, as if it were not installed
names = []
for package in map(importlib.import_module, ("edgeseg_runtime", "edgeseg_bench")):
    names += [module.name for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
for name in names:
    importlib.import_module(name)
assert "edgeseg_runtime.segmenter" in names and any(name.startswith("edgeseg_bench.") for name in names), names

import cv2
from edgeseg_runtime import Segmenter
from edgeseg_runtime.sources import open_source
from edgeseg_runtime.stream import run_stream

model, picture, clip = sys.argv[1:]
for engine in ("onnxruntime", "openvino"):
    area = Segmenter.load(model, engine=engine)(cv2.imread(picture)).area()
    assert area == {{"red": 0.25, "green": 0.0, "blue": 0.75}}, area
    summary = run_stream(open_source(clip), Segmenter.load(model, engine=engine), [])
    assert (summary.emitted, summary.dropped, summary.ended) == (12, 0, "end"), summary
print(len(names))
"""


def test_runtime_and_bench_run_without_torch(tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path) -> None:
    model = tiny_model(colour_contract, tmp_path / "model.onnx")
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:, :16, 2], frame[:, 16:, 0] = 255, 255
    cv2.imwrite(str(tmp_path / "picture.png"), frame)
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(12):
        writer.write(frame)
    writer.release()
    files = [str(tmp_path / name) for name in ("picture.png", "clip.avi")]
    done = subprocess.run([sys.executable, "-c", DEVICE, str(model), *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10
