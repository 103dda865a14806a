"""Cross-layer equalisation: the same function with weights that int8 can hold.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (arXiv:1906.04721), section 4.1.
For conv₁ → ReLU → conv₂, dividing an output channel of conv₁ by s > 0 and multiplying what conv₂ reads of it by s
changes nothing, because ReLU(x / s) = ReLU(x) / s. With s = √(r₁ r₂) / r₂, r being the largest |weight| of the channel
in either, both have the same range afterwards. It needs an activation that scales: ReLU6, hard-swish and sigmoids do
not, and pairs with one between are left alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from edgeseg_export.graph import constants_of, consumers

ROUNDS = 40
CONVERGED = 1e-3
"""Rounds end when no factor is further than this from 1."""
EMPTY = 1e-12
"""A channel whose weights are all smaller than this is dead on one side, and is left alone."""

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Equalised:
    """What was done."""

    pairs: int
    left_alone: dict[str, int]
    """Why neighbouring convolutions were left as they are, and how many: `HardSwish between`, …"""

    def __str__(self) -> str:
        left = ", ".join(f"{count} × {reason}" for reason, count in sorted(self.left_alone.items()))
        return f"{self.pairs} pairs of convolutions equalised" + (f"; left alone: {left}" if left else "")


@dataclass(frozen=True)
class _Pair:
    first: NodeProto
    second: NodeProto


def equalise(model: ModelProto) -> Equalised:
    """Equalise all pairs of convolutions that allow it, in place, until nothing changes."""
    constants = constants_of(model)
    pairs, left_alone = _find_pairs(model, constants)
    arrays = {name: numpy_helper.to_array(item).copy() for name, item in constants.items()}
    for _ in range(ROUNDS):
        if max((_equalise_pair(pair, arrays) for pair in pairs), default=0.0) < CONVERGED:
            break
    for name in {name for pair in pairs for name in (*pair.first.input[1:], *pair.second.input[1:2])}:
        constants[name].CopyFrom(numpy_helper.from_array(arrays[name], name))
    return Equalised(len(pairs), dict(left_alone))


def _find_pairs(model: ModelProto, constants: dict[str, TensorProto]) -> tuple[list[_Pair], Counter[str]]:
    users = consumers(model)
    outputs = {output.name for output in model.graph.output}
    pairs: list[_Pair] = []
    left_alone: Counter[str] = Counter()
    for node in model.graph.node:
        if node.op_type != "Conv" or not _owned(node, constants, users):
            continue
        tensor = node.output[0]
        between = [reader for reader in users[tensor] if reader.op_type == "Relu"]
        if len(users[tensor]) == 1 and between:
            tensor = between[0].output[0]
        readers = users[tensor]
        if tensor in outputs or len(readers) != 1:
            left_alone["a branch between" if len(readers) > 1 else "an output"] += 1
        elif readers[0].op_type != "Conv":
            left_alone[f"{readers[0].op_type} between"] += 1
        elif readers[0].input[0] == tensor and _owned(readers[0], constants, users):
            pairs.append(_Pair(node, readers[0]))
    return pairs, left_alone


def _owned(node: NodeProto, constants: dict[str, TensorProto], users: dict[str, list[NodeProto]]) -> bool:
    """Whether weights and bias are constants that no other node reads."""
    return all(name in constants and len(users[name]) == 1 for name in node.input[1:])


def _equalise_pair(pair: _Pair, arrays: dict[str, Array]) -> float:
    """Equalise in place and return how far the largest factor was from 1."""
    first, second = arrays[pair.first.input[1]], arrays[pair.second.input[1]]
    groups = next((item.i for item in pair.second.attribute if item.name == "group"), 1)
    # (groups, out / groups, in / groups, …): channel i of the input is read by the weights [i // n, :, i % n]
    split = second.reshape(groups, second.shape[0] // groups, *second.shape[1:])
    ours = np.abs(first).max(axis=tuple(range(1, first.ndim)))
    theirs = np.abs(split).max(axis=(1, *range(3, split.ndim))).ravel()
    alive = (ours > EMPTY) & (theirs > EMPTY)
    factor = np.ones(len(ours), np.float32)
    factor[alive] = np.sqrt(ours[alive] / theirs[alive])
    first /= factor.reshape(-1, *[1] * (first.ndim - 1))
    if len(pair.first.input) > 2:
        arrays[pair.first.input[2]] /= factor
    split *= factor.reshape(groups, 1, -1, *[1] * (split.ndim - 3))
    return float(np.abs(factor - 1).max())
