"""Post-training int8 for OpenVINO, by NNCF."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import onnx

from edgeseg_export.deployable import FrameModule
from edgeseg_export.equalize import equalise
from edgeseg_export.layers import Layer
from edgeseg_export.onnx_file import contract_metadata
from edgeseg_export.openvino_file import read_folded, save_ir
from edgeseg_export.quiet import quiet
from edgeseg_export.symmetric_products import make_products_symmetric
from edgeseg_runtime.engines.load_openvino import load_openvino
from edgeseg_runtime.errors import CalibrationError
from edgeseg_runtime.preprocess import Image, to_input


class OpenVinoQuantiser:
    """A float ONNX file and calibration pictures: int8 IR with any layers in float comes of it."""

    def __init__(
        self,
        source: Path,
        module: FrameModule,
        pictures: Sequence[Image],
        layers: Sequence[Layer] = (),
        *,
        equalised: bool = False,
    ) -> None:
        if not pictures:
            raise CalibrationError("there are no calibration pictures")
        self.module, self.equalised = module, equalised
        self.layers = {layer.name: layer for layer in layers}
        self.inputs = [to_input(picture, module.contract)[None] for picture in pictures]
        self._last: tuple[tuple[str, ...], Any] | None = None
        self.source = onnx.load(source)
        if equalised:
            equalise(self.source)

    def write(self, path: Path, float_layers: Collection[str] = ()) -> None:
        """Write an int8 file whose `float_layers` stay in float. Raises KeyError for a layer there is not."""
        wanted = tuple(float_layers)
        if self._last is None or self._last[0] != wanted:  # what was tried is often what is wanted next
            self._last = wanted, self._make(wanted)
        save_ir(self._last[1], path, contract_metadata(self.module, "int8"))

    def _make(self, float_layers: Sequence[str]) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "source.onnx"
            onnx.save(self.source, source)
            model = read_folded(source)
        outputs = {name for layer in float_layers for name in self.layers[layer].outputs}
        known = {name for node in self.source.graph.node for name in node.output}
        return self._quantise(model, operations(model, outputs, known))

    def _quantise(self, model: Any, ignored: Sequence[str]) -> Any:
        # importing nncf imports torch's compiler, which remarks on a missing CUDA
        with quiet("torch.utils.cpp_extension", "nncf"):
            load_openvino()  # first, because nncf would import it with its telemetry
            import nncf

            # Asymmetric activations, and biases corrected layer by layer with the errors before it in place: on
            # fast_scnn and CamVid the loss is 0.36 mIoU points where NNCF's faster defaults lose 0.65.
            quantised = nncf.quantize(
                model,
                nncf.Dataset(self.inputs),
                subset_size=len(self.inputs),
                preset=nncf.QuantizationPreset.MIXED,
                fast_bias_correction=False,
                # a layer may hold operations that were never to be quantised
                ignored_scope=nncf.IgnoredScope(names=list(ignored), validate=False) if ignored else None,
            )
        make_products_symmetric(quantised)
        return quantised


def operations(model: Any, outputs: Collection[str], known: Collection[str]) -> list[str]:
    """Return the names of the OpenVINO operations that make the ONNX tensors `outputs` out of other `known` ones.

    OpenVINO may make several operations of one ONNX node; what stays the same is the names of the tensors between.
    """
    found: dict[str, None] = {}
    for operation in reversed(model.get_ordered_ops()):
        if operation.get_type_name() in ("Constant", "Parameter", "Result"):
            continue
        names = {name for output in operation.outputs() for name in output.get_names()}
        readers = [
            target.get_node().get_friendly_name()
            for output in operation.outputs()
            for target in output.get_target_inputs()
        ]
        inner = not names & set(known) and bool(readers) and all(reader in found for reader in readers)
        if inner or names & set(outputs):
            found[operation.get_friendly_name()] = None
    return list(found)


def quantize_ir(
    source: Path, path: Path, module: FrameModule, pictures: Sequence[Image], *, equalised: bool = False
) -> None:
    """Quantise the float ONNX file `source` to OpenVINO IR, its ranges measured on uint8 H×W×3 BGR pictures."""
    OpenVinoQuantiser(source, module, pictures, equalised=equalised).write(path)
