"""A model that means harm is refused in one line, within its limits, and whoever tried it is well."""

from __future__ import annotations

import json
import resource
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeseg_runtime.contract import CONTRACT_KEY, MAX_PIXELS, Contract
from edgeseg_runtime.errors import ContractError, ModelFileError, UserError
from edgeseg_runtime.serving.limits import GIB, allowance, tells_of_memory
from edgeseg_runtime.serving.server import ModelServer
from edgeseg_runtime.serving.spec import ModelSpec, ServingOptions

if TYPE_CHECKING:
    from tests.runtime.serving.conftest import WriteModel


def refusal(spec: ModelSpec, **limits: Any) -> UserError:
    """What the model is refused with."""
    server = ModelServer(spec, options=ServingOptions(**limits))
    try:
        with pytest.raises(UserError) as caught:
            server.wait_ready()
    finally:
        server.close()
    assert len(str(caught.value).splitlines()) == 1
    assert server._household._processes == set()
    return caught.value


def write_bomb(path: Path) -> Path:
    """Write a model of less than 250 bytes whose only constant is 9 GiB of zeros."""
    image = helper.make_tensor_value_info("i", TensorProto.UINT8, [1, 24, 32, 3])
    scores = helper.make_tensor_value_info("o", TensorProto.FLOAT, [1, 3, 24, 32])
    nodes = [
        helper.make_node("ConstantOfShape", ["s"], ["z"]),
        helper.make_node("ReduceMax", ["z"], ["o"], axes=[4], keepdims=0),
    ]
    shape = numpy_helper.from_array(np.array([1, 3, 24, 32, 2**20]), "s")
    graph = helper.make_graph(nodes, "g", [image], [scores], [shape])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    assert path.stat().st_size < 250
    return path


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_few_bytes_that_ask_for_8_gib_are_refused(engine: str, tmp_path: Path, colour_contract: Contract) -> None:
    """It fits the machine or not; the limit is what refuses it."""
    spec = ModelSpec(write_bomb(tmp_path / "bomb.onnx"), engine, threads=1, contract=colour_contract)
    # a child begins with the memory of the process that it is split off from
    before = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF))
    error = refusal(spec, memory_bytes=GIB)
    assert isinstance(error, ModelFileError)
    assert "bomb.onnx asks for more memory than the 1024 MiB it may take" in str(error)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss <= max(before, 2 * GIB // 1024)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_the_limit_is_what_refuses(engine: str, write: WriteModel, tmp_path: Path, colour_contract: Contract) -> None:
    """The control: 400 MB at each inference are too much for a limit of 200 MB, and no trouble without one."""
    path = write(tmp_path / "hungry.onnx", colour_contract, trap="memory", white=0, count=100_000_000)
    spec = ModelSpec(path, engine, threads=1)
    assert "more memory than the 200 MiB" in str(refusal(spec, memory_bytes=200 << 20))
    server = ModelServer(spec)
    server.wait_ready()
    server.close()


def test_one_that_never_ends_is_given_up_in_time(write: WriteModel, tmp_path: Path, colour_contract: Contract) -> None:
    path = write(tmp_path / "endless.onnx", colour_contract, trap="hang", white=0)
    started = time.monotonic()
    error = refusal(ModelSpec(path, threads=1), load_seconds=2)
    assert 1.5 < time.monotonic() - started < 12
    assert "endless.onnx gave no mask of a black picture within 2 s" in str(error)


def test_an_input_larger_than_any_camera_is_refused(
    write: WriteModel, tmp_path: Path, colour_contract: Contract
) -> None:
    path = write(tmp_path / "huge.onnx", colour_contract)
    model = onnx.load(path)
    for value in [*model.graph.input, *model.graph.output]:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_value in colour_contract.size:
                dim.dim_value = 100_000
    huge = json.dumps({**asdict(colour_contract), "height": 100_000, "width": 100_000})
    for entry in model.metadata_props:
        if entry.key == CONTRACT_KEY:
            entry.value = huge
    onnx.save(model, path)
    error = refusal(ModelSpec(path, threads=1))
    assert isinstance(error, ContractError)
    assert f"input size must be at most {MAX_PIXELS} pixels, got 100000×100000" in str(error)
    # and where the contract is not the file's own, the file is what does not fit
    assert "its contract says uint8 (1, 24, 32, 3)" in str(refusal(ModelSpec(path, contract=colour_contract)))


def test_labels_longer_than_any_name_are_refused(write: WriteModel, tmp_path: Path, colour_contract: Contract) -> None:
    labels = tuple(replace(label, name=label.name * 20_000) for label in colour_contract.labels)
    path = write(tmp_path / "long.onnx", replace(colour_contract, labels=labels))
    assert "at most 65536 fit" in str(refusal(ModelSpec(path, threads=1)))


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "was run"
    for name in ("model.onnx", "model.pt", "model.pkl"):
        path = tmp_path / name
        path.write_bytes(b"\x80\x02cpathlib\nPath\n(V" + str(mark).encode() + b"\ntR.touch")
        assert "a pickle" in str(refusal(ModelSpec(path)))
    assert not mark.exists()


def test_the_allowance_grows_with_the_model_and_ends_with_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = 64 * GIB
    monkeypatch.setattr("edgeseg_runtime.serving.limits.memory_bytes", lambda _: machine)
    assert allowance(0, 1, "cpu") == 4 * GIB + (16 << 20)
    assert allowance(GIB, 1, "cpu") == 12 * GIB + (16 << 20)
    assert allowance(0, 64, "cpu") == 5 * GIB
    assert allowance(0, 1, "cuda") == 12 * GIB + (16 << 20)
    machine = 2 * GIB
    assert allowance(GIB, 64, "cuda") == 3 * GIB // 2


@pytest.mark.parametrize(
    "line",
    [
        "std::bad_alloc",
        "Failed to allocate memory for requested buffer of size 8589934592",
        "Failed to allocate 8589943840 bytes of memory",
        "MemoryError",
    ],
)
def test_complaints_about_memory_are_known(line: str) -> None:
    assert tells_of_memory(line)
    assert not tells_of_memory("Protobuf parsing failed.")
