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

from edgeseg_export.deployable import FrameModule
from edgeseg_export.float_graph import average_globally, drop_copies, fold_input_scale
from edgeseg_export.graph import set_metadata
from edgeseg_export.instances.traced import trace_detections
from edgeseg_export.linear_graph import convolve_before_enlarging, merge_convolutions
from edgeseg_export.quiet import quiet
from edgeseg_runtime.contract import CONTRACT_KEY, OUTPUTS, PRECISION_KEY, UNBATCHED, Precision
from edgeseg_runtime.errors import ConfigError, EdgesegError
from edgeseg_runtime.files import atomic_path

OPSET = 20
INPUT = "frames"
Translations: TypeAlias = Mapping[Callable[..., Any], Callable[..., Any]]
"""What to write for a torch operator: an onnxscript function of the same arguments."""


@dataclass(frozen=True)
class DynamicAxes:
    """Which axes of the input stay open."""

    batch: bool = False
    size: bool = False


def export_onnx(module: FrameModule, path: Path, dynamic: DynamicAxes | None = None) -> None:
    """Write `module` as one ONNX file: uint8 (N, H, W, 3) in; out what its contract's `output` names.

    The contract travels inside. Simplified by onnxsim and checked by onnx's checker. Raises EdgesegError when the
    simplified graph differs.
    """
    model = to_onnx(module, dynamic or DynamicAxes())
    fold_input_scale(model)
    model = simplify(model, static=module.contract.output not in UNBATCHED)
    drop_copies(model)
    average_globally(model)
    model = convolve_before_enlarging(model)
    merge_convolutions(model)
    save_onnx(model, path, contract_metadata(module, "float32"))


def to_onnx(module: FrameModule, dynamic: DynamicAxes, translations: Translations | None = None) -> ModelProto:
    """Return `module` as torch's exporter writes it; `translations` say how to write operators it does not know.

    Raises ConfigError for open axes that the model cannot have.
    """
    contract = module.contract
    if contract.output in UNBATCHED:
        if dynamic != DynamicAxes():
            raise ConfigError(f"a model that gives {contract.output} takes one picture of one size; leave no axis open")
        return trace_detections(module, OPSET, INPUT)
    if contract.task == "instance" and dynamic.size:
        raise ConfigError("where the candidates of an instance model are depends on the input's size; leave it fixed")
    # Two pictures where the batch stays open: the exporter takes a batch of one for a constant.
    frames = torch.zeros((2 if dynamic.batch else 1, contract.height, contract.width, 3), dtype=torch.uint8)
    auto, fixed = torch.export.Dim.AUTO, torch.export.Dim.STATIC
    shapes = (
        {0: auto if dynamic.batch else fixed, 1: auto if dynamic.size else fixed, 2: auto if dynamic.size else fixed},
    )
    with quiet("torch.onnx", "onnx_ir"):
        program = torch.onnx.export(
            module.cpu().eval(),
            (frames,),
            dynamo=True,
            external_data=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(OUTPUTS[contract.output]),
            dynamic_shapes=shapes if dynamic.batch or dynamic.size else None,
            custom_translation_table=dict(translations or {}),
            verbose=False,
        )
    assert program is not None  # torch's annotation allows for the older exporter, which returns nothing
    model: ModelProto = program.model_proto
    return model


def simplify(model: ModelProto, *, static: bool = True) -> ModelProto:
    """Return the model with what follows from its constants computed. Raises EdgesegError when it then differs.

    In graphs that are not `static`, whose sizes depend on the picture, initializers are left alone: onnxsim 0.8 loses
    some of those that a detector's anchors are made of, and complains of it on standard error for every node after.
    """
    simplified: ModelProto
    simplified, same = onnxsim.simplify(model, initializers_as_constants=static)
    if not same:
        raise EdgesegError("onnxsim changed what the graph computes; the export was stopped")
    return simplified


def contract_metadata(module: FrameModule, precision: Precision) -> dict[str, str]:
    """Return what an exported file says of itself."""
    return {CONTRACT_KEY: module.contract.to_json(), PRECISION_KEY: precision}


def save_onnx(model: ModelProto, path: Path, metadata: dict[str, str]) -> None:
    """Check a model and write it atomically with its metadata."""
    set_metadata(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    with atomic_path(path) as temporary:
        onnx.save(model, temporary)
