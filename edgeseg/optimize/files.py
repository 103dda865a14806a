"""The model files of a search: made once, found again after a kill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgeseg.optimize.quantise import Quantise
from edgeseg.optimize.space import Precision, Variant, Weights, computed_in
from edgeseg_export.deployable import Deployable
from edgeseg_export.onnx_file import contract_metadata, export_onnx
from edgeseg_runtime.contract import Contract

MULTIPLE = 8
"""Input sizes are rounded to this, so that coarse layers do not end in half a row."""

MakeModule = Callable[[Weights, tuple[int, int]], Deployable]
"""(weights, (height, width)) → the network in evaluation mode."""

Rank = Callable[[Path, Path], Sequence[str]]
"""(float32 ONNX file, its int8 twin) → names of the layers, those that int8 costs most first."""


def input_size(contract: Contract, resolution: float) -> tuple[int, int]:
    """Return the (height, width) of an input at a share of the contract's; the contract's own for 1."""
    if resolution == 1:
        return contract.size
    height, width = (max(MULTIPLE, MULTIPLE * round(resolution * side / MULTIPLE)) for side in contract.size)
    return height, width


@dataclass(frozen=True)
class ModelFiles:
    """A folder of model files, one folder each, all made of the same kind of weights."""

    root: Path
    contract: Contract
    """The original's."""
    module: MakeModule
    quantise: Quantise
    rank: Rank

    def path(self, variant: Variant) -> Path:
        """Return where a variant's file is, or will be."""
        return self.root / variant.name / ("model.xml" if variant.engine == "openvino" else "model.onnx")

    def get(self, variant: Variant) -> Path:
        """Return a variant's file, making it (and the float32 ONNX it is made of) if it is not there."""
        path = self.path(variant)
        if not path.is_file():
            self._make(variant, path)
        return path

    def ranking(self, variant: Variant) -> Sequence[str]:
        """Return the layers of a mixed variant that may stay in float, those that int8 costs most first.

        One ranking for both engines, made of the ONNX files.
        """
        return self.rank(*(self.get(_twin(variant, precision, "onnxruntime")) for precision in ("float32", "int8")))

    def float_layers(self, variant: Variant) -> Sequence[str]:
        """Return the names of the layers that stay in float in an int8 file."""
        return self.ranking(variant)[: variant.float_layers] if variant.float_layers else ()

    def _make(self, variant: Variant, path: Path) -> None:
        module = self.module(variant.weights, input_size(self.contract, variant.resolution))
        if variant.precision == "qat":
            from edgeseg_export.quantized_onnx import export_quantized

            export_quantized(module, path)
            return
        if variant.kind == ("float32", "onnxruntime"):
            export_onnx(module, path)
            return
        source = self.get(_twin(variant, "float32", "onnxruntime"))
        if variant.calibrated:
            self.quantise.writer(variant.engine, source, module)(path, self.float_layers(variant))
            return
        from edgeseg_export.openvino_file import read_folded, save_ir

        save_ir(read_folded(source), path, contract_metadata(module, computed_in(variant.precision)))


def _twin(variant: Variant, precision: Precision, engine: str) -> Variant:
    return replace(variant, precision=precision, engine=engine, float_layers=None)
