"""Post-training int8 for ONNX Runtime: a QDQ file.

uint8 activations and int8 per-channel weights: on x86 with VNNI the defaults of ONNX Runtime's own tool (signed
activations, one scale a tensor) run slower than float.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.registry import QDQRegistry
from onnxruntime.quantization.shape_inference import quant_pre_process

from edgeseg_export.bias_correction import correct_biases
from edgeseg_export.deployable import FrameModule
from edgeseg_export.equalize import equalise
from edgeseg_export.float_graph import average_by_convolution
from edgeseg_export.graph import constants_of, consumers, producers_of
from edgeseg_export.grouped_pixels import group_pixels
from edgeseg_export.layers import find_layers, name_nodes, nodes_of
from edgeseg_export.onnx_file import INPUT, contract_metadata, save_onnx
from edgeseg_export.quantized_gates import RANGE, flat_below, hard_sigmoids, saturate_hard_sigmoids
from edgeseg_export.quantized_input import feed_frames_directly
from edgeseg_export.quiet import quiet
from edgeseg_export.ranges import Rule, activations, measure_values
from edgeseg_runtime.contract import UNBATCHED
from edgeseg_runtime.errors import CalibrationError
from edgeseg_runtime.preprocess import Image, to_input
from edgeseg_runtime.progress import Progress, silent

ALSO_INT8 = ("GlobalAveragePool", "HardSigmoid", "Mul")
"""What is rounded at both ends besides what ONNX Runtime's tool rounds by itself: channel attention is made of it."""
RECIPE_KEY = "edgeseg.ptq"
"""Metadata key of the recipe that an int8 ONNX file was made by."""


@dataclass(frozen=True)
class Recipe:
    """How to quantise after training."""

    rule: Rule = "percentile"
    """How the range of an activation is chosen from its values."""
    equalised: bool = False
    """Whether the weights of neighbouring convolutions are brought to one range first."""
    bias_corrected: bool = False
    """Whether the mean error of rounded weights is taken out of the biases."""

    def __str__(self) -> str:
        extras = [("equalised", self.equalised), ("biases corrected", self.bias_corrected)]
        return ", ".join([f"{self.rule} ranges", *[name for name, wanted in extras if wanted]])


def float_nodes(model: ModelProto) -> list[str]:
    """Return the nodes that stay in float: those that int8 would not make faster, and what makes the scores.

    As an int8 operator the normalisation's broadcast alone costs more than the network. A product of two computed
    matrices, as in attention, takes as long in int8, and a softmax next to it five times as long. Of products by
    element only those with a gate are rounded: others may be of boxes. Scores rounded to 256 steps make ties where
    classes meet.
    """
    constants, producers = constants_of(model), producers_of(model)
    slower = []
    for node in model.graph.node:
        before = [producers[name].op_type for name in node.input if name in producers]
        if (
            node.op_type in ("Cast", "Sub")
            or (node.op_type == "Mul" and not {"HardSigmoid", "Sigmoid"} & set(before))
            or (node.op_type == "MatMul" and constants.keys().isdisjoint(node.input))
        ):
            slower.append(node.name)
    return [*slower, *score_nodes(model)]


def score_nodes(model: ModelProto) -> list[str]:
    """Return the last convolutions on the ways to the output and all that comes after them."""
    producers = producers_of(model)
    found: list[str] = []
    waiting = [output.name for output in model.graph.output]
    while waiting:
        node = producers.get(waiting.pop())
        if node is None or node.name in found:
            continue
        found.append(node.name)
        if node.op_type != "Conv":
            waiting.extend(node.input)
    return found


def prepare(source: Path, *, equalised: bool) -> ModelProto:
    """Return the float graph that is quantised: simplified by ONNX Runtime, shapes inferred, every node named."""
    with tempfile.TemporaryDirectory() as folder, quiet("root"):
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        model = onnx.load(prepared)
    name_nodes(model)
    average_by_convolution(model)
    if equalised:
        equalise(model)
    return model


class OrtQuantiser:
    """A float ONNX file with the values its tensors take: int8 files with any ranges and float layers come of it."""

    def __init__(
        self,
        source: Path,
        module: FrameModule,
        pictures: Sequence[Image],
        *,
        equalised: bool = False,
        progress: Progress = silent,
    ) -> None:
        self.module, self.equalised = module, equalised
        self.model = prepare(source, equalised=equalised)
        self.layers = find_layers(self.model)
        if not pictures:
            raise CalibrationError("there are no calibration pictures")
        feeds = [{INPUT: to_input(picture, module.contract)[None]} for picture in pictures]
        self.aliases = rectified(self.model)
        measured = activations(self.model)
        if module.contract.output in UNBATCHED:
            measured = [name for name in measured if name in fixed_tensors(self.model)]
        self.unmeasured = nodes_that_read_others(self.model, measured)
        tensors = [name for name in measured if name not in self.aliases]
        self.values = measure_values(self.model, tensors, feeds, progress)

    def write(self, path: Path, recipe: Recipe, float_layers: Collection[str] = ()) -> None:
        """Write an int8 file whose `float_layers`, named as in `layers`, stay in float.

        Raises ValueError for a recipe that wants other weights than these, KeyError for a layer there is not.
        """
        if recipe.equalised != self.equalised:
            raise ValueError("the recipe and the measured network differ in whether they are equalised")
        model = ModelProto()
        model.CopyFrom(self.model)
        excluded = [*float_nodes(model), *self.unmeasured, *nodes_of(self.layers, float_layers)]
        if recipe.bias_corrected:
            correct_biases(model, self.values, excluded)
        quantised = _quantise(model, self._bounds(recipe.rule), excluded)
        saturate_hard_sigmoids(quantised)
        feed_frames_directly(quantised)
        group_pixels(quantised)
        about = {"recipe": asdict(recipe), "float_layers": list(float_layers)}
        metadata = contract_metadata(self.module, "int8") | {RECIPE_KEY: json.dumps(about)}
        save_onnx(quantised, path, metadata)

    def _bounds(self, rule: Rule) -> dict[str, tuple[float, float]]:
        bounds = {name: value.bounds(rule) for name, value in self.values.items()}
        bounds |= {node.output[0]: RANGE for node in hard_sigmoids(self.model) if node.output[0] in bounds}
        for name, low in flat_below(self.model).items():
            if name in bounds:
                bounds[name] = max(low, bounds[name][0]), bounds[name][1]
        return bounds | {name: bounds[target] for name, target in self.aliases.items() if target in bounds}


def fixed_tensors(model: ModelProto) -> set[str]:
    """Return the tensors whose shape does not depend on the picture."""
    return {
        item.name
        for item in (*model.graph.value_info, *model.graph.output)
        if item.type.tensor_type.HasField("shape")
        and all(axis.HasField("dim_value") for axis in item.type.tensor_type.shape.dim)
    }


def nodes_that_read_others(model: ModelProto, measured: Collection[str]) -> list[str]:
    """Return the nodes with a float tensor at either side that is not measured: they have no range to round to.

    In a detector that is what comes after the choice of regions. On a picture without any there are no values.
    """
    others = set(activations(model)) - set(measured)
    return [node.name for node in model.graph.node if others & {*node.input, *node.output}]


def rectified(model: ModelProto) -> dict[str, str]:
    """Return, for tensors that only a ReLU or a clip reads, what that writes: the range of both is the latter's."""
    users = consumers(model)
    outputs = {output.name for output in model.graph.output}
    found = {}
    for node in model.graph.node:
        readers = users[node.output[0]]
        if node.output[0] not in outputs and len(readers) == 1 and readers[0].op_type in ("Relu", "Clip"):
            found[node.output[0]] = readers[0].output[0]
    return found


def quantize_onnx(
    source: Path, path: Path, module: FrameModule, pictures: Sequence[Image], recipe: Recipe | None = None
) -> None:
    """Quantise the float ONNX file `source` to `path`, its ranges measured on uint8 H×W×3 BGR pictures."""
    recipe = recipe or Recipe()
    OrtQuantiser(source, module, pictures, equalised=recipe.equalised).write(path, recipe)


def _quantise(model: ModelProto, bounds: dict[str, tuple[float, float]], excluded: Sequence[str]) -> ModelProto:
    ranges = {name: (np.float32(low), np.float32(high)) for name, (low, high) in bounds.items()}
    with quiet("root"):
        quantizer = QDQQuantizer(
            model,
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=TensorsData(CalibrationMethod.MinMax, ranges),
            nodes_to_quantize=[],
            nodes_to_exclude=list(excluded),
            op_types_to_quantize=[*QDQRegistry, *ALSO_INT8],
            extra_options={},
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
    quantised: ModelProto = quantizer.model.model
    return quantised
