"""Where a frame's time goes inside an engine, by kind of operator, from the engine's own profile.

Profiling costs time of its own, more on small operators: read the shares, and take whole frames' times from
`measure.take_turns`.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from edgeseg_runtime.engines.load_openvino import openvino_core
from edgeseg_runtime.errors import EngineError

Frame = npt.NDArray[np.uint8]
"""uint8 (1, height, width, 3), as the model takes it."""
Timed = tuple[str, str, float]
"""An operator that ran: its name, its kind, and its milliseconds."""

WARM_UP = 2

ORT_KINDS = {
    "QLinearAdd": "add",
    "Add": "add",
    "QLinearMul": "multiply",
    "Mul": "multiply",
    "HardSigmoid": "activation",
    "HardSwish": "activation",
    "Sigmoid": "activation",
    "QLinearSigmoid": "activation",
    "Relu": "activation",
    "Clip": "activation",
    "QuickGelu": "activation",
    "QLinearConcat": "concat",
    "Concat": "concat",
    "Resize": "resize",
    "Upsample": "resize",
    "AveragePool": "pooling",
    "MaxPool": "pooling",
    "GlobalAveragePool": "pooling",
    "ReduceMean": "pooling",
    "QLinearAveragePool": "pooling",
    "QLinearGlobalAveragePool": "pooling",
    "QuantizeLinear": "quantise / dequantise",
    "DequantizeLinear": "quantise / dequantise",
    "Transpose": "layout",
    "ReorderInput": "layout",
    "ReorderOutput": "layout",
}
OPENVINO_KINDS = {
    "Add": "add",
    "Multiply": "multiply",
    "Subgraph": "elementwise",
    "HardSigmoid": "activation",
    "HSwish": "activation",
    "Sigmoid": "activation",
    "Relu": "activation",
    "Clamp": "activation",
    "Concat": "concat",
    "Interpolate": "resize",
    "AvgPool": "pooling",
    "MaxPool": "pooling",
    "ReduceMean": "pooling",
    "AdaptiveAvgPool": "pooling",
    "FakeQuantize": "quantise / dequantise",
    "Quantize": "quantise / dequantise",
    "Convert": "quantise / dequantise",
    "Reorder": "layout",
    "Transpose": "layout",
}


@dataclass(frozen=True)
class KindTime:
    """All operators of one kind in a file."""

    kind: str
    operators: int
    ms: float
    """Of one frame: the sum of the operators' medians."""


def profile(file: Path, engine: str, frames: Sequence[Frame], threads: int, precision: str) -> list[KindTime]:
    """Run a file on each frame and return its operators' times by kind, the slowest kind first.

    `engine` is `onnxruntime` or `openvino`; what an engine fuses counts for the operator that it was fused into.
    Raises EngineError for an engine without a profile.
    """
    if engine not in PROFILERS:
        raise EngineError(f"{engine} has no profile; choose one of {', '.join(PROFILERS)}")
    laps: dict[tuple[str, str], list[float]] = defaultdict(list)
    for name, kind, milliseconds in PROFILERS[engine](file, frames, threads, precision):
        laps[name, kind].append(milliseconds)
    return by_kind({key: median(values) for key, values in laps.items()})


def by_kind(operators: Mapping[tuple[str, str], float]) -> list[KindTime]:
    """Add up the operators (name, kind) of each kind."""
    found: dict[str, list[float]] = defaultdict(list)
    for (_, kind), milliseconds in operators.items():
        found[kind].append(milliseconds)
    rows = [KindTime(kind, len(values), round(sum(values), 4)) for kind, values in found.items()]
    return sorted(rows, key=lambda row: -row.ms)


def _onnxruntime(file: Path, frames: Sequence[Frame], threads: int, _precision: str) -> list[Timed]:
    # Weights that were packed for speed are missing from the profile, so kinds come from a session without packing.
    kinds = onnxruntime_kinds(_onnxruntime_events(file, frames[:1], threads, {"session.disable_prepacking": "1"}))
    return read_onnxruntime(_onnxruntime_events(file, [frames[0]] * WARM_UP + [*frames], threads, {}), kinds, WARM_UP)


def _onnxruntime_events(
    file: Path, frames: Sequence[Frame], threads: int, settings: Mapping[str, str]
) -> list[dict[str, Any]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    for key, value in {"session.intra_op.allow_spinning": "0", **settings}.items():
        options.add_session_config_entry(key, value)
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        for frame in frames:
            session.run(None, {name: frame})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return [event for event in events if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")]


def onnxruntime_kinds(events: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Name the kind of every operator in a profile that shows the weights."""
    return {event["name"]: _onnxruntime_kind(event["args"]) for event in events}


def read_onnxruntime(events: Sequence[Mapping[str, Any]], kinds: Mapping[str, str], warm_up: int) -> list[Timed]:
    """Take the operators out of a profile's events, without each one's first `warm_up` runs."""
    seen: dict[str, int] = defaultdict(int)
    timed = []
    for event in events:
        # the same name may stand at several places of an optimised graph
        name = f"{event['args'].get('node_index', '')}:{event['name']}"
        seen[name] += 1
        if seen[name] > warm_up:
            kind = kinds.get(event["name"]) or _onnxruntime_kind(event["args"])
            timed.append((name, kind, event["dur"] / 1e3))
    return timed


def _onnxruntime_kind(facts: Mapping[str, Any]) -> str:
    operator = facts["op_name"]
    if "Conv" not in operator:
        return ORT_KINDS.get(operator, "other")
    shapes = [next(iter(item.values())) for item in facts["input_type_shape"]]
    kernel = next((shape for shape in shapes[1:] if len(shape) == 4), None)
    if kernel is None:
        return "other conv"
    # int8 runs with channels last: a batch of one has them at either end
    channels = {shapes[0][1], shapes[0][-1]}
    if kernel[1] in channels:
        return conv_kind(kernel, 1)
    return conv_kind(kernel, max(2, max(channels) // kernel[1]))


def conv_kind(kernel: Sequence[int], groups: int) -> str:
    """Name a convolution by its kernel (out, in / groups, kh, kw) and its number of groups."""
    if groups > 1:
        return "depthwise conv" if kernel[1] == 1 else "grouped conv"
    return "pointwise conv" if set(kernel[2:]) == {1} else "dense conv"


def _openvino(file: Path, frames: Sequence[Frame], threads: int, precision: str) -> list[Timed]:
    core = openvino_core()
    model = core.read_model(file)
    kernels = {op.get_friendly_name(): _openvino_conv_kind(op) for op in model.get_ops() if _is_conv(op)}
    if model.is_dynamic():
        model.reshape(list(frames[0].shape))
    settings = {
        "PERF_COUNT": True,
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    for _ in range(WARM_UP):
        request.infer([frames[0]])
    timed = []
    for frame in frames:
        request.infer([frame])
        for node in request.profiling_info:
            if node.status.name == "EXECUTED":
                kind = kernels.get(node.node_name) or OPENVINO_KINDS.get(node.node_type, "other")
                timed.append((node.node_name, kind, 1e3 * node.real_time.total_seconds()))
    return timed


def _is_conv(operation: Any) -> bool:
    return operation.get_type_name() in ("Convolution", "GroupConvolution")


def _openvino_conv_kind(operation: Any) -> str:
    shape = list(operation.input_value(1).get_shape())
    if operation.get_type_name() == "GroupConvolution":  # (groups, out / groups, in / groups, kh, kw)
        return conv_kind([shape[0] * shape[1], *shape[2:]], shape[0])
    return conv_kind(shape, 1)


PROFILERS: Mapping[str, Callable[[Path, Sequence[Frame], int, str], list[Timed]]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}
