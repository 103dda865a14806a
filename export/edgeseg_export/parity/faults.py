"""Faults to plant in an exported ONNX file, so that the gate can be shown to see them.

Each is one that really happens between training and a device, and each leaves a file that loads and runs. A fault
changes a loaded model in place; `plant` does the reading and writing:

>>> plant(Path("model.onnx"), Path("faulty.onnx"), swap_red_blue)  # doctest: +SKIP

Two faults lie in how a file is made and need no function here: int8 ranges measured on the wrong pictures, and a
checkpoint exported with another's contract.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgeseg_export.graph import constants_of, consumers, set_metadata
from edgeseg_runtime.contract import CONTRACT_KEY, Contract
from edgeseg_runtime.files import atomic_path

Fault: TypeAlias = Callable[[ModelProto], None]
Floats = npt.NDArray[np.float32]


def plant(source: Path, target: Path, *faults: Fault) -> Path:
    """Write a copy of the ONNX file `source` with the faults in it to `target`, and return `target`.

    Raises ValueError when the graph has nothing that a fault could spoil.
    """
    model = onnx.load(source)
    for fault in faults:
        fault(model)
    onnx.checker.check_model(model)
    with atomic_path(target) as temporary:
        onnx.save(model, temporary)
    return target


def swap_red_blue(model: ModelProto) -> None:
    """State the other colour order: frames reach the network with red and blue exchanged."""
    contract = contract_in(model)
    set_contract(model, replace(contract, color_order="bgr" if contract.color_order == "rgb" else "rgb"))


def nearest_resize(model: ModelProto) -> None:
    """State nearest-neighbour resizing of frames where the network was trained on bilinear."""
    set_contract(model, replace(contract_in(model), interpolation="nearest"))


def rename_labels(model: ModelProto, one: int = 0, other: int = 1) -> None:
    """Exchange two labels in the contract: the masks hold the same numbers, and the numbers mean something else."""
    labels = list(contract_in(model).labels)
    labels[one], labels[other] = labels[other], labels[one]
    set_contract(model, replace(contract_in(model), labels=tuple(labels)))


def swap_labels(model: ModelProto, one: int = 0, other: int = 1) -> None:
    """Exchange two channels of the scores, as a class table in another order does."""
    contract = contract_in(model)
    axes = {"scores": 1, "prototypes": 2}
    if contract.output not in axes:
        raise ValueError(f"labels are swapped in the scores of classes, and this file gives {contract.output}")
    order = np.arange(len(contract.labels))
    order[one], order[other] = other, one
    right = rename_output(model, "scores")
    model.graph.initializer.append(numpy_helper.from_array(order, "wrong_order"))
    model.graph.node.append(helper.make_node("Gather", [right, "wrong_order"], ["scores"], axis=axes[contract.output]))


def wrong_normalisation(model: ModelProto, mean: Sequence[float], std: Sequence[float]) -> None:
    """Normalise with another mean and std (as in the Contract, for pixels in 0..1) than the network was trained with.

    The graph keeps (x / 255 - μ) / σ and is fed a x + b instead of x, with a = σ / σ' and b = 255 (μ - μ' a), which
    makes it (x / 255 - μ') / σ'.
    """
    contract = contract_in(model)
    scale = np.array(contract.std) / np.array(std)
    shift = 255 * (np.array(contract.mean) - np.array(mean) * scale)
    name, channels_first = _first_float(model)
    shape = (1, 3, 1, 1) if channels_first else (3,)
    graph = model.graph
    graph.initializer.extend(
        numpy_helper.from_array(values.reshape(shape).astype(np.float32), title)
        for values, title in ((scale, "wrong_scale"), (shift, "wrong_shift"))
    )
    for reader in consumers(model)[name]:
        reader.input[:] = ["wrong_input" if read == name else read for read in reader.input]
    place = next(index for index, node in enumerate(graph.node) if name in node.output) + 1
    graph.node.insert(place, helper.make_node("Mul", [name, "wrong_scale"], ["wrong_product"]))
    graph.node.insert(place + 1, helper.make_node("Add", ["wrong_product", "wrong_shift"], ["wrong_input"]))


def shift_half_pixel(model: ModelProto) -> None:
    """Upsample without the half-pixel offset (`asymmetric`), as an exporter with another convention does."""
    for node in _resizes(model):
        _set_attribute(node, "coordinate_transformation_mode", "asymmetric")


def nearest_upsampling(model: ModelProto) -> None:
    """Upsample by nearest neighbour where the network was trained with bilinear."""
    for node in _resizes(model):
        _set_attribute(node, "mode", "nearest")


def wrong_int8_scale(model: ModelProto, factor: float = 4.0, layer: int | None = None) -> None:
    """Multiply the weight scale of one int8 convolution, the middle one unless `layer` numbers another."""
    graph = model.graph
    constants = {item.name: item for item in graph.initializer}
    producers = {name: node for node in graph.node for name in node.output}
    weights = [producers.get(node.input[1]) for node in graph.node if node.op_type == "Conv"]
    quantised = [node for node in weights if node is not None and node.op_type == "DequantizeLinear"]
    if not quantised:
        raise ValueError("the file has no int8 convolution")
    scale = constants[quantised[len(quantised) // 2 if layer is None else layer].input[1]]
    _set_constant(scale, factor * numpy_helper.to_array(scale))


def unbalance_channels(model: ModelProto, factor: float = 64.0, every: int = 4) -> None:
    """Scale every fourth channel between two convolutions up and the weights that read it down.

    ReLU(f x) = f ReLU(x) for f > 0, so the float network computes the same (with a power of two, to the bit), while one
    int8 range for all channels of a tensor now leaves most of them a few steps. Nagel et al., "Data-Free Quantization
    Through Weight Equalization and Bias Correction", ICCV 2019, section 3, describes the reverse.
    """
    constants = constants_of(model)
    pairs = list(_relu_pairs(model, constants))
    if not pairs:
        raise ValueError("the file has no two convolutions with nothing but a ReLU between them")
    for first, second in pairs:
        weight = numpy_helper.to_array(constants[first.input[1]])
        scale = np.ones(len(weight), np.float32)
        scale[::every] = factor
        _set_constant(constants[first.input[1]], weight * scale[:, None, None, None])
        if len(first.input) > 2:
            _set_constant(constants[first.input[2]], numpy_helper.to_array(constants[first.input[2]]) * scale)
        reader = numpy_helper.to_array(constants[second.input[1]])
        inverse = scale[None, :, None, None] if _groups(second) == 1 else scale[:, None, None, None]
        _set_constant(constants[second.input[1]], reader / inverse)


def rename_output(model: ModelProto, name: str) -> str:
    """Give the tensor behind an output another name, which is returned, so that a node can make the output of it."""
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [f"right_{name}" if each == name else each for each in names]
    return f"right_{name}"


def _relu_pairs(model: ModelProto, constants: dict[str, TensorProto]) -> list[tuple[NodeProto, NodeProto]]:
    """Find Conv → ReLU → Conv where each is read by the next alone, the second plain or depthwise."""
    users = consumers(model)
    found = []
    for first in (node for node in model.graph.node if node.op_type == "Conv"):
        relus = users[first.output[0]]
        if len(relus) != 1 or relus[0].op_type != "Relu":
            continue
        seconds = users[relus[0].output[0]]
        if len(seconds) != 1 or seconds[0].op_type != "Conv":
            continue
        second = seconds[0]
        named = (*first.input[1:], second.input[1])
        if not all(name in constants and len(users[name]) == 1 for name in named):
            continue
        if _groups(second) in (1, constants[second.input[1]].dims[0]):
            found.append((first, second))
    return found


def _first_float(model: ModelProto) -> tuple[str, bool]:
    """Return the first float tensor that is made of the frames, and whether its channels come before its rows."""
    name, channels_first = model.graph.input[0].name, False
    users = consumers(model)
    while len(users[name]) == 1:
        node = users[name][0]
        name = node.output[0]
        channels_first ^= node.op_type == "Transpose"
        if node.op_type in ("Cast", "DequantizeLinear"):
            return name, channels_first
    raise ValueError("the graph does not begin with one path from uint8 frames to float")


def _resizes(model: ModelProto) -> list[NodeProto]:
    found = [node for node in model.graph.node if node.op_type == "Resize"]
    if not found:
        raise ValueError("the graph resizes nothing")
    return found


def _groups(node: NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)


def _set_attribute(node: NodeProto, name: str, value: str) -> None:
    kept: list[AttributeProto] = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])


def _set_constant(constant: TensorProto, values: npt.NDArray[np.floating]) -> None:
    constant.CopyFrom(numpy_helper.from_array(values.astype(np.float32), constant.name))


def contract_in(model: ModelProto) -> Contract:
    """Return the contract that a file carries."""
    return Contract.from_json({item.key: item.value for item in model.metadata_props}[CONTRACT_KEY])


def set_contract(model: ModelProto, contract: Contract) -> None:
    """Put another contract into a file."""
    set_metadata(model, {CONTRACT_KEY: contract.to_json()})
