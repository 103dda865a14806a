"""Networks that choose their objects themselves to ONNX, by torch's older exporter.

How many boxes are left in the middle of a Mask R-CNN is a matter of the picture. torch's newer exporter stops at the
first question about such a number (`batched_nms` asks one); the older one records what ran for one picture, and
torchvision's detectors are written so that what it records holds for every picture.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from onnx import ModelProto
from torch.jit._trace import TracerWarning

from edgeseg_export.deployable import FrameModule
from edgeseg_export.instances.branches import inline_branches_for_nothing
from edgeseg_runtime.contract import OUTPUTS

EXPECTED: tuple[tuple[type[Warning], str], ...] = (
    (TracerWarning, ""),  # of what is recorded for one picture, and holds for all
    (DeprecationWarning, "You are using the legacy TorchScript-based ONNX export"),
    (DeprecationWarning, "The feature will be removed"),
    (FutureWarning, "`torch.jit"),
    (UserWarning, "To copy construct from a tensor"),
    (UserWarning, "Exporting aten::index operator of advanced indexing"),
)
"""Category and beginning of what the older exporter warns of while it records a detector of torchvision's."""


def trace_detections(module: FrameModule, opset: int, image: str) -> ModelProto:
    """Return a module with the output `detections` as ONNX: one uint8 (1, H, W, 3) input, the objects' number open."""
    contract = module.contract
    names = OUTPUTS[contract.output]
    with tempfile.TemporaryDirectory() as folder, _only_expected():
        file = Path(folder) / "model.onnx"
        torch.onnx.export(
            module.cpu().eval(),
            (torch.zeros((1, contract.height, contract.width, 3), dtype=torch.uint8),),
            file,
            dynamo=False,
            opset_version=opset,
            input_names=[image],
            output_names=list(names),
            dynamic_axes={name: {0: "objects"} for name in names},
        )
        model = onnx.load(file)
    inline_branches_for_nothing(model)
    return model


@contextmanager
def _only_expected() -> Iterator[None]:
    """Silence EXPECTED and nothing else."""
    with warnings.catch_warnings():
        for category, message in EXPECTED:
            warnings.filterwarnings("ignore", message=message, category=category)
        yield
