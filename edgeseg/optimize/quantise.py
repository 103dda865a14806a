"""int8 after training, in two ways: quickly, for files that are only timed, and as well as `edgeseg export` does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from edgeseg_export.deployable import Deployable
from edgeseg_export.ptq import choose_openvino, choose_ort
from edgeseg_export.quantize_openvino import quantize_ir
from edgeseg_export.quantize_ort import quantize_onnx
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.progress import Progress, silent

Quantise = Callable[[str, Path, Path, Deployable], None]
"""(engine, float32 ONNX file, file to write, the network) → None."""


def quickly(pictures: Sequence[Image]) -> Quantise:
    """Return what measures ranges on these pictures and tries nothing else."""

    def quantise(engine: str, source: Path, path: Path, module: Deployable) -> None:
        (quantize_ir if engine == "openvino" else quantize_onnx)(source, path, module, pictures)

    return quantise


def well(pictures: Sequence[Image], progress: Progress = silent) -> Quantise:
    """Return what chooses how to quantise by the masks of held-back pictures."""

    def quantise(engine: str, source: Path, path: Path, module: Deployable) -> None:
        if engine == "onnxruntime":
            found = choose_ort(source, module, pictures, progress)
            found.quantiser.write(path, found.recipe)
            return
        choose_openvino(source, module, pictures, (), progress).quantiser.write(path)

    return quantise
