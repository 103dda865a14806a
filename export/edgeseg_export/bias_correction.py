"""Take the mean error of rounded weights out of a convolution's bias.

Rounding W to Ŵ moves the mean of an output channel by Σ (Ŵ - W) E[x]; a bias less by as much undoes it. Nagel et al.,
"Data-Free Quantization Through Weight Equalization and Bias Correction" (arXiv:1906.04721), section 4.2, with E[x] as
measured on calibration pictures. Zero padding is not accounted for: it touches the border only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, numpy_helper

from edgeseg_export.graph import constants_of
from edgeseg_export.ranges import Values

Array = npt.NDArray[np.float32]


def round_weights(weight: Array) -> Array:
    """Return the weights after int8 with a symmetric range for each output channel (axis 0), -127 to 127."""
    largest = np.abs(weight).max(axis=tuple(range(1, weight.ndim)), keepdims=True)
    scale = np.where(largest > 0, largest, 1) / np.float32(127)
    return np.asarray(np.rint(weight / scale) * scale, np.float32)


def correct_biases(model: ModelProto, values: Mapping[str, Values], excluded: Collection[str]) -> int:
    """Correct, in place, the bias of every convolution not named in `excluded`; return how many there were.

    A convolution without a bias, or whose input has no channel means, is left as it is.
    """
    constants = constants_of(model)
    corrected = 0
    for node in model.graph.node:
        if node.op_type != "Conv" or node.name in excluded or len(node.input) < 3 or node.input[0] not in values:
            continue
        means = values[node.input[0]].channel_means
        if not means.size or not {*node.input[1:]} <= constants.keys():
            continue
        weight, bias = (numpy_helper.to_array(constants[name]) for name in node.input[1:3])
        groups = next((item.i for item in node.attribute if item.name == "group"), 1)
        shift = mean_shift(round_weights(weight) - weight, means, groups)
        constants[node.input[2]].CopyFrom(numpy_helper.from_array((bias - shift).astype(np.float32), node.input[2]))
        corrected += 1
    return corrected


def mean_shift(error: Array, means: npt.NDArray[np.float64], groups: int) -> npt.NDArray[np.float64]:
    """Return what weight errors (out, in / groups, kh, kw) add to the mean outputs (out,), by the mean inputs (in,)."""
    summed = error.sum(axis=tuple(range(2, error.ndim)), dtype=np.float64)
    by_group = summed.reshape(groups, -1, summed.shape[1])
    shift: npt.NDArray[np.float64] = np.einsum("goi,gi->go", by_group, means.reshape(groups, -1)).ravel()
    return shift
