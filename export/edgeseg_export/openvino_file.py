"""ONNX to OpenVINO's own format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeseg_runtime.contract import CONTRACT_KEY, PRECISION_KEY
from edgeseg_runtime.engines.load_openvino import load_openvino, openvino_core
from edgeseg_runtime.files import atomic_path, remove


def read_folded(path: Path) -> Any:
    """Read a model with its constants folded.

    The ONNX front end puts `Reshape(Constant)` before depthwise weights, and a quantiser that meets one leaves the
    whole convolution in float.
    """
    model = openvino_core().read_model(path)
    from openvino.passes import ConstantFolding, Manager  # after load_openvino, which sees to how it is imported

    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(model)
    return model


def save_ir(model: Any, path: Path, metadata: dict[str, str]) -> None:
    """Write an OpenVINO model to `path` (.xml) and the .bin beside it, with its metadata, weights uncompressed."""
    for key in (CONTRACT_KEY, PRECISION_KEY):
        model.set_rt_info(metadata[key], key.split("."))
    with atomic_path(path) as temporary, atomic_path(path.with_suffix(".bin")) as weights:
        # `save_model` names the weights itself, and stores float16 unless told not to, which is one more thing that
        # would change masks unasked.
        try:
            load_openvino().save_model(model, temporary, compress_to_fp16=False)
            temporary.with_suffix(".bin").replace(weights)
        finally:
            remove(temporary.with_suffix(".bin"))
