"""Models that do what a test says by the pictures they are shown, and servers that are always closed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edgeseg_runtime.contract import CONTRACT_KEY, PRECISION_KEY, Contract
from edgeseg_runtime.events import Event, Events
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.serving.server import ModelServer
from edgeseg_runtime.serving.spec import ModelSpec, ServingOptions

BGR = np.array([[0, 0, 200], [0, 200, 0], [200, 0, 0]], np.uint8)
"""Red, green and blue as a camera gives it. No value is 255: that one sets off the traps below."""

WriteModel = Callable[..., Path]
Paint = Callable[[int], tuple[Image, Mask]]
MakeServer = Callable[..., ModelServer]


def _painted(seed: int) -> tuple[Image, Mask]:
    rows = np.random.default_rng(seed).integers(0, 3, (6, 8), np.uint8)
    mask = np.kron(rows, np.ones((4, 4), np.uint8))
    return BGR[mask], mask


@pytest.fixture
def paint() -> Paint:
    """From a seed to a 24×32 picture of 4×4 blocks, and which of red, green and blue each pixel is."""
    return _painted


@pytest.fixture
def trap() -> Image:
    """A picture with a value of 255."""
    picture = _painted(0)[0].copy()
    picture[0, 0] = 255
    return picture


def _traps(kind: str, white: int, count: int) -> tuple[list[NodeProto], list[TensorProto]]:
    """Nodes that make `extra`, added to all scores: 0 unless the picture `planes` has a value of `white` or more."""
    nodes = [
        helper.make_node("ReduceMax", ["planes"], ["brightest"], keepdims=0),
        helper.make_node("GreaterOrEqual", ["brightest", "white"], ["sprung"]),
        helper.make_node("Cast", ["sprung"], ["many"], to=TensorProto.INT64),
        helper.make_node("Mul", ["many", "count"], ["times"]),
    ]
    count = count or {"hang": 2**62, "memory": 2**31, "nan": 1}[kind]
    constants = [numpy_helper.from_array(np.array(white, np.float32), "white")]
    constants.append(numpy_helper.from_array(np.array(count, np.int64), "count"))
    if kind == "hang":
        nodes.append(helper.make_node("Loop", ["times", "true", "zero"], ["extra"], body=_endless_body()))
        constants.append(numpy_helper.from_array(np.array(True), "true"))
        constants.append(numpy_helper.from_array(np.array(0, np.float32), "zero"))
    elif kind == "memory":
        nodes.append(helper.make_node("Reshape", ["times", "one"], ["shape"]))
        nodes.append(helper.make_node("Expand", ["brightest", "shape"], ["copies"]))
        nodes.append(helper.make_node("ReduceSum", ["copies"], ["extra"], keepdims=0))
        constants.append(numpy_helper.from_array(np.array([1], np.int64), "one"))
    else:
        nodes.append(helper.make_node("Cast", ["times"], ["bad"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Sub", ["half", "bad"], ["negative"]))
        nodes.append(helper.make_node("Log", ["negative"], ["nan"]))
        nodes.append(helper.make_node("Sub", ["nan", "log"], ["extra"]))
        constants.append(numpy_helper.from_array(np.array(0.5, np.float32), "half"))
        constants.append(numpy_helper.from_array(np.log(np.array(0.5, np.float32)), "log"))
    return nodes, constants


def _endless_body() -> onnx.GraphProto:
    nodes = [
        helper.make_node("Identity", ["go"], ["go_on"]),
        helper.make_node("Cos", ["value"], ["next"]),
    ]
    scalars: list[tuple[str, int]] = [
        ("step", TensorProto.INT64),
        ("go", TensorProto.BOOL),
        ("value", TensorProto.FLOAT),
    ]
    outputs = [("go_on", TensorProto.BOOL), ("next", TensorProto.FLOAT)]
    return helper.make_graph(
        nodes,
        "body",
        [helper.make_tensor_value_info(name, kind, []) for name, kind in scalars],
        [helper.make_tensor_value_info(name, kind, []) for name, kind in outputs],
    )


def _write_model(
    path: Path,
    contract: Contract,
    order: Sequence[int] = (0, 1, 2),
    trap: str | None = None,
    white: int = 255,
    count: int = 0,
    open_size: bool = False,
) -> Path:
    """Write a model whose score of class `i` is the input's channel `order[i]`.

    `trap` is what happens when a picture has a value of `white` or more: `hang` for ever, ask
    for `memory` (`count` float32, or 8 GiB), or give `nan`. With `open_size` it takes pictures of any size.
    """
    size = ("height", "width") if open_size else contract.size
    constants = [numpy_helper.from_array(np.array(order, np.int64), "order")]
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["real"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Gather", ["planes", "order"], ["chosen"], axis=1),
    ]
    if trap is None:
        nodes.append(helper.make_node("Identity", ["chosen"], ["scores"]))
    else:
        more, weights = _traps(trap, white, count)
        nodes += [*more, helper.make_node("Add", ["chosen", "extra"], ["scores"])]
        constants += weights
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, *size, 3])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, len(contract.labels), *size])
    graph = helper.make_graph(nodes, "net", [image], [scores], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {CONTRACT_KEY: contract.to_json(), PRECISION_KEY: "float32"})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


@pytest.fixture
def forward(tmp_path: Path, colour_contract: Contract) -> ModelSpec:
    """Classes red, green, blue."""
    return ModelSpec(_write_model(tmp_path / "forward.onnx", colour_contract), threads=1)


@pytest.fixture
def backward(tmp_path: Path, colour_contract: Contract) -> ModelSpec:
    """The same classes in the opposite order: blue, green, red."""
    contract = replace(colour_contract, labels=colour_contract.labels[::-1])
    return ModelSpec(_write_model(tmp_path / "backward.onnx", contract, (2, 1, 0)), threads=1)


@pytest.fixture
def trapped(tmp_path: Path, colour_contract: Contract) -> Callable[[str], ModelSpec]:
    def make(kind: str) -> ModelSpec:
        return ModelSpec(_write_model(tmp_path / f"{kind}.onnx", colour_contract, trap=kind), threads=1)

    return make


class Diary:
    """Every event, as it came."""

    def __init__(self) -> None:
        self.events = Events()
        self.told: list[Event] = []
        self.events.subscribe(self.told.append)

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.told if event.kind == kind]


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture
def serve_model(diary: Diary) -> Iterator[MakeServer]:
    """Return a function that starts a server and waits until it is ready; all are closed in the end."""
    servers: list[ModelServer] = []

    def make(spec: ModelSpec, **options: Any) -> ModelServer:
        servers.append(ModelServer(spec, diary.events, ServingOptions(**options)))
        servers[-1].wait_ready()
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def wait_until() -> Callable[..., bool]:
    def wait(true: Callable[[], bool], seconds: float = 30) -> bool:
        end = time.monotonic() + seconds
        while not (done := true()) and time.monotonic() < end:
            time.sleep(0.005)
        return done

    return wait


@pytest.fixture
def write() -> WriteModel:
    return _write_model
