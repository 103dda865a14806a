"""Run a segmentation model on a device: numpy, OpenCV and an inference engine, never torch.

The names below are imported on first use: a program that only wants an error class pays for no engine.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeseg_runtime.contract import Contract, Label
    from edgeseg_runtime.errors import EdgesegError, GateFailed, UserError
    from edgeseg_runtime.instances.result import InstanceResult
    from edgeseg_runtime.result import SemanticResult
    from edgeseg_runtime.segmenter import Segmenter

# From 1.29 on ONNX Runtime keeps a file of every session on the device (model and machine) and sends it to its makers,
# unless it was told not to by the time it is imported (github.com/microsoft/onnxruntime/pull/27379).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "Contract",
    "EdgesegError",
    "GateFailed",
    "InstanceResult",
    "Label",
    "Segmenter",
    "SemanticResult",
    "UserError",
]

_HOME = {
    "Contract": "contract",
    "EdgesegError": "errors",
    "GateFailed": "errors",
    "InstanceResult": "instances.result",
    "Label": "contract",
    "Segmenter": "segmenter",
    "SemanticResult": "result",
    "UserError": "errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
