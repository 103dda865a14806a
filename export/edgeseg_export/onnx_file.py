"""PyTorch to ONNX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import onnx
import onnxsim
import torch
from onnx import ModelProto

from edgeseg_export.deployable import Deployable
from edgeseg_export.graph import fold_input_scale, set_metadata
from edgeseg_export.quiet import quiet
from edgeseg_runtime.contract import CONTRACT_KEY, PRECISION_KEY, Precision
from edgeseg_runtime.errors import EdgesegError
from edgeseg_runtime.files import atomic_path

OPSET = 20
INPUT, OUTPUTS = "frames", {"scores": "scores", "mask": "mask"}
Translations: TypeAlias = Mapping[Callable[..., Any], Callable[..., Any]]
"""What to write for a torch operator: an onnxscript function of the same arguments."""


@dataclass(frozen=True)
class DynamicAxes:
    """Which axes of the input stay open."""

    batch: bool = False
    size: bool = False


def export_onnx(module: Deployable, path: Path, dynamic: DynamicAxes | None = None) -> None:
    """Write `module` as one ONNX file: uint8 (N, H, W, 3) in; scores or mask out, as its contract says.

    The contract travels inside. Simplified by onnxsim and checked by onnx's checker. Raises EdgesegError when the
    simplified graph differs.
    """
    model = to_onnx(module, dynamic or DynamicAxes())
    fold_input_scale(model)
    save_onnx(simplify(model), path, contract_metadata(module, "float32"))


def to_onnx(module: Deployable, dynamic: DynamicAxes, translations: Translations | None = None) -> ModelProto:
    """Return `module` as torch's exporter writes it; `translations` say how to write operators it does not know."""
    contract = module.contract
    # Two pictures where the batch stays open: the exporter takes a batch of one for a constant.
    frames = torch.zeros((2 if dynamic.batch else 1, contract.height, contract.width, 3), dtype=torch.uint8)
    auto = torch.export.Dim.AUTO
    shapes = (
        {0: auto if dynamic.batch else None, 1: auto if dynamic.size else None, 2: auto if dynamic.size else None},
    )
    with quiet("torch.onnx"):
        program = torch.onnx.export(
            module.cpu().eval(),
            (frames,),
            dynamo=True,
            external_data=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUTS[contract.output]],
            dynamic_shapes=shapes if dynamic.batch or dynamic.size else None,
            custom_translation_table=dict(translations or {}),
            verbose=False,
        )
    assert program is not None  # torch's annotation allows for the older exporter, which returns nothing
    model: ModelProto = program.model_proto
    return model


def simplify(model: ModelProto) -> ModelProto:
    """Return the model with what follows from its constants computed. Raises EdgesegError when it then differs."""
    simplified: ModelProto
    simplified, same = onnxsim.simplify(model)
    if not same:
        raise EdgesegError("onnxsim changed what the graph computes; the export was stopped")
    return simplified


def contract_metadata(module: Deployable, precision: Precision) -> dict[str, str]:
    """Return what an exported file says of itself."""
    return {CONTRACT_KEY: module.contract.to_json(), PRECISION_KEY: precision}


def save_onnx(model: ModelProto, path: Path, metadata: dict[str, str]) -> None:
    """Check a model and write it atomically with its metadata."""
    set_metadata(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    with atomic_path(path) as temporary:
        onnx.save(model, temporary)
