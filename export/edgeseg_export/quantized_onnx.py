"""A network trained for int8 to files in which engines run int8: QDQ ONNX, and OpenVINO IR made from such a file.

The roundings that were trained are written as they are; nothing is calibrated here. Each engine gets a file of its
own: ONNX Runtime wants the frame itself as the first quantised tensor, which leaves OpenVINO's first convolution in
float, and OpenVINO wants to be told not to leave out a rounding.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from edgeseg_export.artifact import Artifact
from edgeseg_export.deployable import FrameModule
from edgeseg_export.float_graph import average_by_convolution, average_globally
from edgeseg_export.grouped_pixels import group_pixels
from edgeseg_export.onnx_file import DynamicAxes, contract_metadata, save_onnx, simplify, to_onnx
from edgeseg_export.openvino_file import save_ir
from edgeseg_export.quantized_graph import (
    constants_to_initializers,
    drop_saturated_activations,
    keep_moved_values_quantised,
    quantise_biases,
    quantise_equal_weights,
    round_before_sums,
)
from edgeseg_export.quantized_input import take_frames_as_quantised
from edgeseg_export.quantized_ops import TRANSLATIONS, freeze
from edgeseg_runtime.engines.load_openvino import load_openvino


def build_quantized(module: FrameModule, folder: Path, dynamic: DynamicAxes | None = None) -> Iterator[Artifact]:
    """Build the int8 files of a module that was trained for int8, one after another below `folder`.

    The original that they are compared with is the module itself: there is no float32 file of it.
    """
    about = {"recipe": {"chosen": "quantisation-aware training"}}
    for file in ("onnx-int8/model.onnx", "openvino-int8/model.xml"):
        path = folder / file
        export_quantized(module, path, dynamic)
        yield Artifact(path.parent.name, path, "int8", about)


def export_quantized(module: FrameModule, path: Path, dynamic: DynamicAxes | None = None) -> None:
    """Write a module that was trained for int8 for the engine that is at home in the suffix of `path`.

    `.onnx` is for ONNX Runtime, `.xml` for OpenVINO. Raises EdgesegError when the simplified graph differs.
    """
    if path.suffix == ".onnx":
        export_quantized_onnx(module, path, "onnxruntime", dynamic)
        return
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "model.onnx"
        export_quantized_onnx(module, source, "openvino", dynamic)
        save_ir(read_quantized(source), path, contract_metadata(module, "int8"))


def export_quantized_onnx(
    module: FrameModule, path: Path, engine: Literal["onnxruntime", "openvino"], dynamic: DynamicAxes | None = None
) -> None:
    """Write a module that was trained for int8 as a QDQ ONNX file for one engine, the contract inside.

    Weights are stored in int8 and biases in int32. Raises EdgesegError when the simplified graph differs.
    """
    model = simplify(to_onnx(freeze(module), dynamic or DynamicAxes(), TRANSLATIONS))
    constants_to_initializers(model)
    average_globally(model)
    if engine == "onnxruntime":
        average_by_convolution(model)
        quantise_equal_weights(model)
    drop_saturated_activations(model)
    take_frames_as_quantised(model, directly=engine == "onnxruntime")
    keep_moved_values_quantised(model)
    quantise_biases(model)
    if engine == "onnxruntime":
        group_pixels(model)
    else:
        round_before_sums(model)
    save_onnx(model, path, contract_metadata(module, "int8"))


def read_quantized(path: Path) -> Any:
    """Read a QDQ file into OpenVINO with the quantisers joined and the weights in int8.

    Not `read_folded`: folding constants alone would turn the weights back to float.
    """
    return load_openvino().convert_model(path)
