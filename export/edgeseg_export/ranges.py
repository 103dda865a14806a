"""What values the tensors of a network take on calibration pictures, and the range that int8 should cover of each.

One histogram a tensor serves every rule for choosing a range, so rules are compared without running the network again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgeseg_runtime.progress import Progress, silent

Rule = Literal["minmax", "percentile", "entropy"]
RULES: tuple[Rule, ...] = get_args(Rule)
Floats = npt.NDArray[np.float64]
REDUCTIONS = {"min": "ReduceMin", "max": "ReduceMax", "mean": "ReduceMean"}

BINS = 2048
LEVELS = 256
PERCENTILE = 99.99
"""Share of the values, in %, that the percentile rule covers; the rest is cut off in equal parts below and above."""
SHRINKINGS = np.linspace(0.2, 1.0, 81)
"""Shares of the full range that the entropy rule tries."""


@dataclass(frozen=True)
class Values:
    """The distribution of one tensor."""

    low: float
    high: float
    counts: Floats
    """(BINS,): how many values lie in each of the equal steps from `low` to `high`."""
    channel_means: Floats
    """(channels,): mean over pictures and places of a tensor (N, channels, …)."""

    def bounds(self, rule: Rule) -> tuple[float, float]:
        """Return the range to cover, by a rule."""
        return {"minmax": self._whole, "percentile": self._percentile, "entropy": self._entropy}[rule]()

    def _whole(self) -> tuple[float, float]:
        return self.low, self.high

    def _percentile(self) -> tuple[float, float]:
        total = self.counts.sum()
        if total == 0:
            return self.low, self.high
        outside = (100 - PERCENTILE) / 200
        share = np.cumsum(self.counts) / total
        edges = np.linspace(self.low, self.high, BINS + 1)
        lowest = edges[np.searchsorted(share, outside, side="right")]
        highest = edges[min(BINS, int(np.searchsorted(share, 1 - outside)) + 1)]
        return float(lowest), float(highest)

    def _entropy(self) -> tuple[float, float]:
        """Shrink the range about zero to where its 256 steps describe the values best (least KL divergence).

        The rule of Migacz, "8-bit inference with TensorRT" (GTC 2017), for ranges that need not be symmetric.

        Values next to zero do not count: any range has a step for zero itself, which is most of what leaves a ReLU.
        Counted, they would be spread over the whole first step, and the narrowest range would always seem best.
        """
        edges = np.linspace(self.low, self.high, BINS + 1)
        counts = self.counts.copy()
        counts[(edges[:-1] <= 0) & (edges[1:] >= 0)] = 0
        if counts.sum() == 0 or self.high <= self.low:
            return self.low, self.high
        tried = [(self.low * share, self.high * share) for share in SHRINKINGS]
        losses = [_divergence(counts, edges, *bounds) for bounds in tried]
        return tried[int(np.argmin(losses))]


def _divergence(counts: Floats, edges: Floats, low: float, high: float) -> float:
    """Return KL(values ‖ values rounded to LEVELS steps of `low`..`high`), both over the bins inside."""
    first, last = np.searchsorted(edges, (low, high)).clip(0, BINS)
    if last <= first:
        return float("inf")  # no bin lies inside
    inside = counts[first:last].copy()
    reference = inside.copy()
    reference[0] += counts[:first].sum()
    reference[-1] += counts[last:].sum()
    step = np.minimum((np.arange(len(inside)) * LEVELS) // len(inside), LEVELS - 1)
    filled = inside > 0
    mass = np.bincount(step, inside, LEVELS)
    places = np.bincount(step, filled, LEVELS)
    rounded = np.where(filled, mass[step] / np.maximum(places[step], 1), 0)
    kept = reference > 0
    p = reference / reference.sum()
    # what is cut off may fall into a bin that holds nothing else: a small floor keeps its loss finite
    q = np.maximum(rounded / max(rounded.sum(), 1), 1e-9)
    return float((p[kept] * np.log(p[kept] / q[kept])).sum())


def activations(model: ModelProto) -> list[str]:
    """Return the float tensors that nodes write or read and no constant holds. The model needs inferred shapes."""
    known = {item.name: item for item in (*model.graph.value_info, *model.graph.output, *model.graph.input)}
    written = [name for node in model.graph.node for name in node.output]
    return [name for name in written if name in known and known[name].type.tensor_type.elem_type == TensorProto.FLOAT]


def measure_values(
    model: ModelProto,
    tensors: Sequence[str],
    feeds: Sequence[Mapping[str, npt.NDArray[np.uint8]]],
    progress: Progress = silent,
) -> dict[str, Values]:
    """Run the model over all `feeds` twice: for extremes and means, then for the histograms between the extremes."""
    low, high = np.full(len(tensors), np.inf), np.full(len(tensors), -np.inf)
    means: list[Floats] = [np.zeros(0)] * len(tensors)
    # reduced inside the graph, so that this pass moves no more than a few numbers
    session = _session(_with_reductions(model, tensors))
    names = [f"{kind}:{name}" for kind in REDUCTIONS for name in tensors]
    for feed in progress(feeds, "calibration: extremes", len(feeds)):
        found = session.run(names, feed)
        low = np.minimum(low, np.array(found[: len(tensors)], np.float64))
        high = np.maximum(high, np.array(found[len(tensors) : 2 * len(tensors)], np.float64))
        for index, mean in enumerate(found[2 * len(tensors) :]):
            means[index] = (means[index] if means[index].size else 0.0) + mean.astype(np.float64)
    counts = np.zeros((len(tensors), BINS))
    session = _session(_with_outputs(model, tensors))
    for feed in progress(feeds, "calibration: histograms", len(feeds)):
        for index, array in enumerate(session.run(list(tensors), feed)):
            counts[index] += _histogram(array, low[index], high[index])
    return {
        name: Values(float(low[index]), float(high[index]), counts[index], means[index] / len(feeds))
        for index, name in enumerate(tensors)
    }


def _histogram(array: npt.NDArray[np.float32], low: float, high: float) -> Floats:
    if high <= low:
        return np.zeros(BINS)
    # the upper edge belongs to no bin of OpenCV's, so it is put just above the largest value
    top = float(np.nextafter(np.float32(high), np.float32(np.inf)))
    flat = array.reshape(-1, 1)
    return cv2.calcHist([flat], [0], None, [BINS], [low, top]).ravel().astype(np.float64)


def _with_outputs(model: ModelProto, tensors: Iterable[str]) -> ModelProto:
    opened = ModelProto()
    opened.CopyFrom(model)
    present = {output.name for output in opened.graph.output}
    wanted = [name for name in tensors if name not in present]
    opened.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in wanted)
    return opened


def _with_reductions(model: ModelProto, tensors: Iterable[str]) -> ModelProto:
    """Add outputs `min:NAME`, `max:NAME` (one number) and `mean:NAME` (one a channel, of (N, C, …)) of every tensor."""
    opened = ModelProto()
    opened.CopyFrom(model)
    ranks = {item.name: len(item.type.tensor_type.shape.dim) for item in (*model.graph.value_info, *model.graph.output)}
    for name in tensors:
        axes = [axis for axis in range(ranks[name]) if axis != 1]
        constant = f"axes:{name}"
        opened.graph.initializer.append(numpy_helper.from_array(np.array(axes, np.int64), constant))
        for kind, operator in REDUCTIONS.items():
            inputs = [name, constant] if kind == "mean" else [name]
            opened.graph.node.append(helper.make_node(operator, inputs, [f"{kind}:{name}"], keepdims=0))
            opened.graph.output.append(helper.make_tensor_value_info(f"{kind}:{name}", TensorProto.FLOAT, None))
    return opened


def _session(model: ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
