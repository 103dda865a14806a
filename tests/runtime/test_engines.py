"""Every engine against numpy, against the other engine, and against its own statements."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import numpy.typing as npt
import onnx
import openvino as ov
import pytest
from onnx import TensorProto, helper
from openvino import opset13

from edgeseg_runtime.contract import CONTRACT_KEY, OUTPUTS, PRECISION_KEY, Contract, Label, Precision, Selection
from edgeseg_runtime.engines import ENGINES, Engine, EngineOptions, engine_for
from edgeseg_runtime.engines.base import expected_ports
from edgeseg_runtime.engines.load_openvino import openvino_core
from edgeseg_runtime.engines.openvino import OpenVinoEngine
from edgeseg_runtime.engines.ort import PROVIDERS, OrtEngine
from edgeseg_runtime.errors import ContractError, EngineError, MissingExtraError, ModelFileError
from tests.instance_model import instance_contract, write_instance_model

if TYPE_CHECKING:
    from tests.conftest import TinyModel

Batch = npt.NDArray[np.uint8]
Kind = type[Engine]

# each engine with each kind of file it reads
HOMES: list[tuple[Kind, str]] = [(OrtEngine, ".onnx"), (OpenVinoEngine, ".onnx"), (OpenVinoEngine, ".xml")]
every_home = pytest.mark.parametrize(("kind", "suffix"), HOMES, ids=[f"{kind.name}{suffix}" for kind, suffix in HOMES])
every_engine = pytest.mark.parametrize("kind", ENGINES.values(), ids=ENGINES.keys())


def random_batch(contract: Contract, seed: int = 0) -> Batch:
    return np.random.default_rng(seed).integers(0, 256, (1, *contract.size, 3), np.uint8)


def pooled(batch: Batch, stride: int) -> npt.NDArray[np.float64]:
    """What the tiny model computes, in numpy."""
    planes = batch.transpose(0, 3, 1, 2).astype(np.float64)
    n, c, h, w = planes.shape
    return np.asarray(planes.reshape(n, c, h // stride, stride, w // stride, stride).mean(axis=(3, 5)))


def to_ir(path: Path, contract: Contract, precision: str = "float32") -> Path:
    """Convert an ONNX file to OpenVINO's own format with the same metadata."""
    model = ov.Core().read_model(path)
    model.set_rt_info(contract.to_json(), ["edgeseg", "contract"])
    model.set_rt_info(precision, ["edgeseg", "precision"])
    target = path.with_suffix(".xml")
    ov.save_model(model, target, compress_to_fp16=False)
    return target


@pytest.fixture
def model(tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path) -> Callable[..., Path]:
    """Write the tiny model as .onnx or .xml."""

    def write(suffix: str, contract: Contract = colour_contract, **settings: Any) -> Path:
        path = tiny_model(contract, tmp_path / "model.onnx", **settings)
        return path if suffix == ".onnx" else to_ir(path, contract, settings.get("precision", "float32"))

    return write


def rewrite(path: Path, change: Callable[[onnx.ModelProto], None]) -> Path:
    loaded = onnx.load(path)
    change(loaded)
    onnx.save(loaded, path)
    return path


@every_home
@pytest.mark.parametrize("stride", [1, 4, 8])
def test_scores_are_numpys(kind: Kind, suffix: str, stride: int, model: Any, colour_contract: Contract) -> None:
    request = kind(model(suffix, stride=stride), EngineOptions()).request()
    for seed in range(3):
        batch = random_batch(colour_contract, seed)
        (got,) = request(batch)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, pooled(batch, stride), rtol=1e-5)


@every_home
def test_masks_are_numpys(kind: Kind, suffix: str, model: Any, colour_contract: Contract) -> None:
    contract = replace(colour_contract, output="mask")
    (got,) = kind(model(suffix, contract), EngineOptions()).request()(random_batch(contract))
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, random_batch(contract).argmax(axis=3))


@every_home
def test_the_file_says_who_it_is(kind: Kind, suffix: str, model: Any, colour_contract: Contract) -> None:
    engine = kind(model(suffix, precision="int8"), EngineOptions())
    assert engine.metadata[CONTRACT_KEY] == colour_contract.to_json()
    assert engine.metadata[PRECISION_KEY] == "int8"
    assert engine.contract == colour_contract
    assert engine.precision == "int8"


@every_home
def test_strange_letters_in_a_contract_survive(kind: Kind, suffix: str, model: Any, colour_contract: Contract) -> None:
    names = ('Straße "quoted" <b>', "道路", "a\\b\n&amp;")
    labels = tuple(Label(name, label.color) for name, label in zip(names, colour_contract.labels, strict=True))
    contract = replace(colour_contract, labels=labels)
    assert kind(model(suffix, contract), EngineOptions()).contract == contract


@every_home
def test_a_given_contract_overrules_the_files(kind: Kind, suffix: str, model: Any, colour_contract: Contract) -> None:
    other = replace(colour_contract, mean=(0.0, 0.0, 0.0))
    assert kind(model(suffix), EngineOptions(contract=other)).contract == other


# --- what an engine says it can do ---


@every_engine
@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".tflite"])
def test_suffixes_claimed_load_and_others_are_refused(kind: Kind, suffix: str, model: Any, tmp_path: Path) -> None:
    path = model(".xml" if suffix == ".xml" else ".onnx")
    if suffix == ".tflite":
        path = path.rename(tmp_path / "model.tflite")
    if suffix in kind.capabilities().suffixes:
        kind(path, EngineOptions())
    else:
        with pytest.raises(ModelFileError, match=rf"{kind.name} reads .*{path.name} is not one"):
            kind(path, EngineOptions())


@every_engine
@pytest.mark.parametrize("device", ["cpu", "cuda", "tensorrt", "gpu", "npu", "CPU", "", "tpu"])
def test_devices_claimed_run_and_others_are_refused(
    kind: Kind, device: str, model: Any, colour_contract: Contract
) -> None:
    path, batch = model(".onnx", stride=4), random_batch(colour_contract)
    if device in kind.capabilities().devices:
        (got,) = kind(path, EngineOptions(device=device)).request()(batch)
        np.testing.assert_allclose(got, pooled(batch, 4), rtol=1e-2)
    else:
        with pytest.raises(EngineError, match=f"no device '{device}' here; it has .*cpu"):
            kind(path, EngineOptions(device=device))


@every_engine
def test_every_engine_has_the_cpu_and_float32(kind: Kind) -> None:
    assert "cpu" in kind.capabilities().devices
    assert {"float32", "int8"} <= set(kind.capabilities().precisions) <= set(get_args(Precision))


@every_home
@pytest.mark.parametrize("precision", get_args(Precision))
def test_precisions_claimed_run_and_others_are_refused(
    kind: Kind, suffix: str, precision: Precision, model: Any, colour_contract: Contract
) -> None:
    path, batch = model(suffix, precision=precision, stride=4), random_batch(colour_contract)
    if precision in kind.capabilities().precisions:
        engine = kind(path, EngineOptions())
        assert engine.precision == precision
        np.testing.assert_allclose(engine.request()(batch)[0], pooled(batch, 4), rtol=1e-2)
    else:
        with pytest.raises(EngineError, match=f"asks for {precision}, which {kind.name} does not compute in here"):
            kind(path, EngineOptions())


def test_bf16_is_refused_where_the_processor_has_none(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = ov.Core.get_property

    def old(core: ov.Core, *arguments: Any) -> Any:
        return ["FP32", "INT8"] if "OPTIMIZATION_CAPABILITIES" in arguments else ask(core, *arguments)

    path = model(".xml", precision="bf16")
    monkeypatch.setattr(ov.Core, "get_property", old)
    with pytest.raises(EngineError, match=r"asks for bf16.*float32, int8"):
        OpenVinoEngine(path, EngineOptions())


SIGNALLED = """
import os, signal, sys
from pathlib import Path
from edgeseg_runtime.engines import ENGINES, EngineOptions

first, second = (ENGINES["openvino"](Path(sys.argv[1]), EngineOptions()) for _ in range(2))
signal.signal(signal.SIGTERM, lambda *_: print("heard"))
del first
del second
os.kill(os.getpid(), signal.SIGTERM)
print("alive")
"""


def test_a_signal_after_two_openvino_engines_have_gone_is_heard(model: Any) -> None:
    """Each of their own cores left its thread a freed stack for signal handlers."""
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED, model(".xml")], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, ["heard", "alive"])


@every_home
def test_an_unknown_precision_is_refused(kind: Kind, suffix: str, model: Any) -> None:
    with pytest.raises(ModelFileError, match="asks for precision 'fp4'; known are float32, bf16, int8"):
        kind(model(suffix, precision="fp4"), EngineOptions())


@pytest.mark.parametrize(("precision", "hint"), [("float32", "f32"), ("int8", "f32"), ("bf16", "bf16")])
@pytest.mark.parametrize("lanes", [1, 2])
def test_openvino_computes_in_what_the_file_says(model: Any, precision: Precision, hint: str, lanes: int) -> None:
    if precision not in OpenVinoEngine.capabilities().precisions:
        pytest.skip("this processor has no bf16")
    engine = OpenVinoEngine(model(".xml", precision=precision), EngineOptions(lanes=lanes))
    assert engine.compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == hint


def test_openvino_is_float32_for_a_file_that_does_not_say(model: Any) -> None:
    def forget(loaded: onnx.ModelProto) -> None:
        kept = [entry for entry in loaded.metadata_props if entry.key != PRECISION_KEY]
        del loaded.metadata_props[:]
        loaded.metadata_props.extend(kept)

    path = rewrite(model(".onnx"), forget)
    for kind in ENGINES.values():
        assert kind(path, EngineOptions()).precision == "float32"
    engine = OpenVinoEngine(path, EngineOptions())
    assert engine.compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"


# --- threads and lanes ---


@every_home
@pytest.mark.parametrize(("threads", "lanes"), [(0, 1), (1, 1), (2, 1), (2, 2), (1, 3), (3, 2)])
def test_lanes_side_by_side_give_the_right_answers(
    kind: Kind, suffix: str, threads: int, lanes: int, model: Any, colour_contract: Contract
) -> None:
    engine = kind(model(suffix, stride=4), EngineOptions(threads=threads, lanes=lanes))
    assert engine.threads == (threads or len(os.sched_getaffinity(0)))

    def work(lane: int) -> None:
        request = engine.request()
        for seed in range(40):
            batch = random_batch(colour_contract, 100 * lane + seed)
            np.testing.assert_allclose(request(batch)[0], pooled(batch, 4), rtol=1e-5)

    with ThreadPoolExecutor(max(lanes, 2)) as pool:  # also more callers than lanes
        for done in [pool.submit(work, lane) for lane in range(max(lanes, 2))]:
            done.result()


@pytest.mark.parametrize(("threads", "lanes", "each"), [(1, 1, 1), (2, 2, 1), (2, 1, 2), (5, 2, 2), (1, 3, 1)])
def test_openvino_shares_its_threads_among_the_lanes(model: Any, threads: int, lanes: int, each: int) -> None:
    engine = OpenVinoEngine(model(".onnx"), EngineOptions(threads=threads, lanes=lanes))
    assert engine.compiled.get_property("INFERENCE_NUM_THREADS") == each
    assert int(engine.compiled.get_property("NUM_STREAMS")) == 1


@pytest.mark.parametrize(("threads", "lanes"), [(1, 1), (2, 1), (2, 2)])
def test_an_inference_that_fails_in_openvino_is_an_error(
    colour_contract: Contract, tmp_path: Path, threads: int, lanes: int
) -> None:
    """On one thread its own `infer()` returns as if nothing were wrong, and the outputs hold what they held before.

    The next model on that thread of the same core would end in a segmentation fault.
    """
    path = failing_ir(colour_contract, tmp_path / "fails.xml")
    good, bad = np.zeros((2, 1, *colour_contract.size, 3), np.uint8)
    good[0, 0, 0, 0], bad[0, 0, 0, 0] = 96, 7  # 7 does not divide 2304 values
    for _ in range(2):
        request = OpenVinoEngine(path, EngineOptions(threads=threads, lanes=lanes, contract=colour_contract)).request()
        for batch in (good, bad, good, bad):
            if batch is bad:
                with pytest.raises(RuntimeError, match=r"^openvino: [^\n]+$"):
                    request(batch)
            else:
                expected = np.full((1, 3, *colour_contract.size), 96, np.float32)
                np.testing.assert_array_equal(request(batch)[0], expected)


def failing_ir(contract: Contract, path: Path) -> Path:
    """Write a model that sums the picture up by way of as many rows as the sum says: not every number of them goes."""
    image = opset13.parameter([1, *contract.size, 3], np.uint8, name="image")
    values = opset13.convert(image, np.float32)
    rows = opset13.reshape(opset13.reduce_sum(values, np.array([0, 1, 2, 3]), False), np.array([1]), False)
    shape = opset13.concat([opset13.convert(rows, np.int64), opset13.constant(np.array([-1]))], 0)
    total = opset13.reduce_sum(opset13.reshape(values, shape, False), np.array([0, 1]), False)
    scores = opset13.broadcast(total, np.array([1, len(contract.labels), *contract.size]))
    ov.save_model(ov.Model([scores], [image], "fails"), path)
    return path


def test_a_lane_whose_model_cannot_be_compiled_is_told_as_the_first_one_would_be(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = OpenVinoEngine(model(".xml"), EngineOptions(threads=2, lanes=2))

    def fail(*_: object) -> None:
        raise RuntimeError("somewhere:\nno memory is left")

    monkeypatch.setattr(ov.Core, "compile_model", fail)
    engine.request()
    with pytest.raises(ModelFileError, match=r"^openvino cannot compile .*model\.xml: no memory is left$"):
        engine.request()


@pytest.mark.parametrize("cores", [1, 2, 4])
def test_openvino_binds_its_threads_to_cores_only_where_it_has_them_all(
    model: Any, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several programs of one thread each would otherwise all compute on the first core."""
    monkeypatch.setattr("edgeseg_runtime.engines.openvino.usable_cores", lambda: cores)
    engine = OpenVinoEngine(model(".onnx"), EngineOptions(threads=2))
    assert engine.compiled.get_property("ENABLE_CPU_PINNING") is (cores <= 2)


def test_counts_out_of_range_are_refused() -> None:
    with pytest.raises(EngineError, match=r"threads must be 0 .* or more, got -1"):
        EngineOptions(threads=-1)
    for lanes in (0, -2):
        with pytest.raises(EngineError, match=f"lanes must be 1 or more, got {lanes}"):
            EngineOptions(lanes=lanes)


# --- memory ---


@every_home
def test_input_is_neither_written_to_nor_needs_to_be_writable(
    kind: Kind, suffix: str, model: Any, colour_contract: Contract
) -> None:
    request = kind(model(suffix, stride=4), EngineOptions()).request()
    batch = random_batch(colour_contract)
    batch.flags.writeable = False
    np.testing.assert_allclose(request(batch)[0], pooled(batch, 4), rtol=1e-5)
    np.testing.assert_array_equal(batch, random_batch(colour_contract))


@every_home
def test_input_with_gaps_is_read_right(kind: Kind, suffix: str, model: Any, colour_contract: Contract) -> None:
    request = kind(model(suffix, stride=4), EngineOptions()).request()
    wide = np.random.default_rng(1).integers(0, 256, (1, 24, 64, 3), np.uint8)
    for batch in (wide[:, :, ::2], wide[:, ::-1, :32], wide[:, :, :32, ::-1]):
        np.testing.assert_allclose(request(batch)[0], pooled(batch, 4), rtol=1e-5)


def test_openvino_reads_the_frame_in_place(model: Any, colour_contract: Contract) -> None:
    seen: list[int] = []
    engine = OpenVinoEngine(model(".onnx"), EngineOptions())
    request = engine.compiled.create_infer_request()

    class Watched:
        def create_infer_request(self) -> Any:
            return request

    engine.compiled = Watched()
    run = engine.request()
    for seed in range(2):
        batch = random_batch(colour_contract, seed)
        run(batch)
        seen.append(request.get_input_tensor(0).data.ctypes.data)
        assert seen[-1] == batch.ctypes.data


# --- dynamic models ---


def open_sizes(loaded: onnx.ModelProto) -> None:
    """Make the batch, height and width of input and output open, as a dynamic export does."""
    names = {"image": ("batch", "height", "width", 3), "scores": ("batch", 3, "rows", "columns")}
    for value in [*loaded.graph.input, *loaded.graph.output]:
        for dim, size in zip(value.type.tensor_type.shape.dim, names[value.name], strict=True):
            if isinstance(size, str):
                dim.dim_param = size


@every_home
@pytest.mark.parametrize("how", ["embedded", "given"])
def test_a_dynamic_model_is_fixed_to_its_contracts_size(
    kind: Kind, suffix: str, how: str, model: Any, colour_contract: Contract
) -> None:
    path = rewrite(model(".onnx", stride=4), open_sizes)
    contract = colour_contract if how == "embedded" else replace(colour_contract, height=48, width=40)
    path = path if suffix == ".onnx" else to_ir(path, colour_contract)
    engine = kind(path, EngineOptions(contract=None if how == "embedded" else contract))
    if isinstance(engine, OpenVinoEngine):
        assert list(engine.compiled.input(0).shape) == [1, *contract.size, 3]
    if isinstance(engine, OrtEngine):
        assert engine._session.get_inputs()[0].shape == [1, *contract.size, 3]
    batch = random_batch(contract)
    np.testing.assert_allclose(engine.request()(batch)[0], pooled(batch, 4), rtol=1e-5)


# --- models that are not what their contract says ---


@every_home
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"height": 12}, r"takes uint8 \(1, 24, 32, 3\), its contract says uint8 \(1, 12, 32, 3\)"),
        ({"output": "mask"}, r"gives mask as float32 \(1, 3, 24, 32\), its contract says uint8 \(1, 24, 32\)"),
        (
            {"labels": (Label("all", (0, 0, 0)),)},
            r"gives scores as float32 \(1, 3, .*its contract says float32 \(1, 1, \?, \?\)",
        ),
    ],
)
def test_a_contract_that_does_not_fit_the_model_is_refused(
    kind: Kind, suffix: str, change: dict[str, Any], words: str, model: Any, colour_contract: Contract
) -> None:
    with pytest.raises(ContractError, match=words):
        kind(model(suffix), EngineOptions(contract=replace(colour_contract, **change)))


@every_home
def test_a_file_without_a_contract_is_refused_with_the_way_out(
    kind: Kind, suffix: str, model: Any, colour_contract: Contract
) -> None:
    def forget(loaded: onnx.ModelProto) -> None:
        del loaded.metadata_props[:]

    path = rewrite(model(".onnx"), forget)
    if suffix == ".xml":
        ov.save_model(ov.Core().read_model(path), path.with_suffix(".xml"))
        path = path.with_suffix(".xml")
    with pytest.raises(ContractError, match="carries no contract; give one with --contract"):
        kind(path, EngineOptions())
    assert kind(path, EngineOptions(contract=colour_contract)).contract == colour_contract


@every_engine
def test_a_model_of_another_kind_is_refused(kind: Kind, tmp_path: Path, colour_contract: Contract) -> None:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 24, 32])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3, 24, 32])
    graph = helper.make_graph([helper.make_node("Relu", ["image"], ["out"])], "float", [image], [out])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "float.onnx"
    )
    with pytest.raises(ContractError, match=r"takes float32 \(1, 3, 24, 32\)"):
        kind(tmp_path / "float.onnx", EngineOptions(contract=colour_contract))


# --- files that are no models ---


@every_engine
@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08" * 1000, b"PK\x03\x04" + bytes(100)])
def test_garbage_is_refused_in_one_line(kind: Kind, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model\.onnx") as caught:
        kind(tmp_path / "model.onnx", EngineOptions())
    assert len(str(caught.value).splitlines()) == 1


@every_engine
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_cut_short_is_refused(kind: Kind, share: float, model: Any) -> None:
    path = model(".onnx")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises((ModelFileError, ContractError), match=r"model\.onnx"):
        kind(path, EngineOptions())


@every_engine
def test_an_absent_file_is_refused(kind: Kind, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"absent\.onnx"):
        kind(tmp_path / "absent.onnx", EngineOptions())


@pytest.mark.parametrize("content", [b"", b"<net", b"<?xml version='1.0'?><net/>", b"not xml at all"])
def test_a_damaged_ir_is_refused(content: bytes, model: Any) -> None:
    path = model(".xml")
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model\.xml") as caught:
        OpenVinoEngine(path, EngineOptions())
    assert len(str(caught.value).splitlines()) == 1


def test_an_ir_without_its_weights_is_refused(model: Any) -> None:
    path = model(".xml")
    path.with_suffix(".bin").unlink()
    with pytest.raises(ModelFileError, match=r"there is no model\.bin"):
        OpenVinoEngine(path, EngineOptions())


def test_an_ir_whose_weights_are_cut_short_is_refused(model: Any) -> None:
    path = model(".xml")
    assert path.with_suffix(".bin").stat().st_size > 0
    path.with_suffix(".bin").write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"model\.xml"):
        OpenVinoEngine(path, EngineOptions())


# --- choosing an engine ---


def test_the_format_chooses_the_engine_unless_one_is_named() -> None:
    assert engine_for(Path("a.onnx"), None) is OrtEngine
    assert engine_for(Path("a.xml"), None) is OpenVinoEngine
    assert engine_for(Path("a.onnx"), "openvino") is OpenVinoEngine
    with pytest.raises(EngineError, match="'tensorflow' is unknown; choose one of onnxruntime, openvino"):
        engine_for(Path("a.onnx"), "tensorflow")


def test_the_table_is_by_the_engines_own_names() -> None:
    assert {name: kind.name for name, kind in ENGINES.items()} == {name: name for name in ENGINES}
    assert set(OrtEngine.capabilities().devices) <= set(PROVIDERS)


def test_openvino_missing_names_the_extra(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = model(".onnx")
    openvino_core.cache_clear()
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'edgeseg\[openvino\]'"):
        OpenVinoEngine(path, EngineOptions())
    OrtEngine(path, EngineOptions())  # the other engine does not mind


def test_engines_agree_on_many_pictures(model: Any, colour_contract: Contract, tmp_path: Path) -> None:
    onnx_file = model(".onnx", stride=2)
    shutil.copy(onnx_file, tmp_path / "copy.onnx")
    requests = [kind(tmp_path / "copy.onnx", EngineOptions()).request() for kind in ENGINES.values()]
    requests.append(OpenVinoEngine(model(".xml", stride=2), EngineOptions()).request())
    for seed in range(20):
        answers = [request(random_batch(colour_contract, seed))[0].copy() for request in requests]
        for one, other in itertools.combinations(answers, 2):
            np.testing.assert_allclose(one, other, rtol=1e-5)


# --- models with several outputs ---

every_ending = pytest.mark.parametrize("output", ["prototypes", "detections"])


def instances(suffix: str, output: str, folder: Path, change: Callable[[onnx.ModelProto], None] | None = None) -> Path:
    """Write the instance model of `tests.instance_model`, changed if wanted."""
    contract = instance_contract(output)
    path = write_instance_model(contract, folder / "instances.onnx")
    if change is not None:
        rewrite(path, change)
    return path if suffix == ".onnx" else to_ir(path, contract)


def lit_blocks() -> Batch:
    """A dark picture with a red block, a blue one and a dim green one."""
    batch = np.zeros((1, 48, 64, 3), np.uint8)
    batch[0, :16, :16, 0], batch[0, 20:30, 20:30, 2], batch[0, 32:, 48:, 1] = 255, 255, 40
    return batch


@every_home
@every_ending
def test_outputs_come_in_the_contracts_order_whatever_the_files(
    kind: Kind, suffix: str, output: str, tmp_path: Path
) -> None:
    request = kind(instances(suffix, output, tmp_path), EngineOptions()).request()
    raw = request(lit_blocks())
    assert [values.dtype for values in raw] == [
        expected_ports(instance_contract(output))[name].dtype for name in OUTPUTS[instance_contract(output).output]
    ]
    if output == "prototypes":
        boxes, scores, coefficients, prototypes = raw
        assert boxes.shape == (1, 24, 4) and boxes[0, 5].tolist() == [16, 16, 32, 32]
        np.testing.assert_allclose(scores[0, 5], [0, 0, 100 / 256], atol=1e-6)
        np.testing.assert_allclose(coefficients, np.tile([1, -127.5], (1, 24, 1)))
        np.testing.assert_allclose(prototypes[0, 0, :8, :8], 255)
        assert prototypes.shape == (1, 2, 24, 32)
    else:
        boxes, labels, scores, masks = raw
        assert boxes.tolist() == [[0, 0, 16, 16], [16, 16, 32, 32], [48, 32, 64, 48]]
        assert labels.tolist() == [0, 2, 1]
        np.testing.assert_allclose(scores, [1, 100 / 256, 40 / 255], atol=1e-6)
        np.testing.assert_allclose(masks[0], 1)
        np.testing.assert_allclose(masks[1, 2:7, 2:7], 1)
        assert masks.shape == (3, 8, 8) and masks[1].sum() == pytest.approx(25)


@every_home
def test_the_number_of_objects_follows_the_picture(kind: Kind, suffix: str, tmp_path: Path) -> None:
    request = kind(instances(suffix, "detections", tmp_path), EngineOptions()).request()
    dark, full = np.zeros((1, 48, 64, 3), np.uint8), np.full((1, 48, 64, 3), 200, np.uint8)
    for batch, count in ((lit_blocks(), 3), (dark, 0), (full, 12), (dark, 0), (lit_blocks(), 3)):
        boxes, labels, scores, masks = request(batch)
        assert [values.shape for values in (boxes, labels, scores, masks)] == [
            (count, 4),
            (count,),
            (count,),
            (count, 8, 8),
        ]


@every_home
@every_ending
def test_an_output_that_is_not_there_is_named(kind: Kind, suffix: str, output: str, tmp_path: Path) -> None:
    def rename(loaded: onnx.ModelProto) -> None:
        for node in loaded.graph.node:
            node.output[:] = ["sureness" if name == "scores" else name for name in node.output]
            node.input[:] = ["sureness" if name == "scores" else name for name in node.input]
        for value in loaded.graph.output:
            value.name = "sureness" if value.name == "scores" else value.name

    path = instances(suffix, output, tmp_path, rename)
    with pytest.raises(
        ContractError, match=r"gives no output 'scores', and its contract says one; it gives .*sureness"
    ):
        kind(path, EngineOptions())


@every_home
@pytest.mark.parametrize(
    ("output", "other", "words"),
    [
        (
            "prototypes",
            {"labels": (Label("all", (0, 0, 0)),)},
            r"scores as float32 \(1, 24, 3\), .* float32 \(1, \?, 1\)",
        ),
        ("prototypes", {"output": "detections"}, "gives no output 'labels'"),
        ("detections", {"output": "prototypes"}, "gives no output 'coefficients'"),
    ],
)
def test_outputs_that_do_not_fit_the_contract_are_refused(
    kind: Kind, suffix: str, output: str, other: dict[str, Any], words: str, tmp_path: Path
) -> None:
    contract = instance_contract(output)
    labels = other.get("labels", contract.labels)
    contract = replace(contract, **{"selection": Selection((0.1,) * len(labels)), **other})
    with pytest.raises(ContractError, match=words):
        kind(instances(suffix, output, tmp_path), EngineOptions(contract=contract))


@every_home
def test_labels_of_another_type_are_refused(kind: Kind, suffix: str, tmp_path: Path) -> None:
    def cast(loaded: onnx.ModelProto) -> None:
        node = next(node for node in loaded.graph.node if node.output[0] == "labels")
        node.output[0] = "indices"
        loaded.graph.node.append(helper.make_node("Cast", ["indices"], ["labels"], to=TensorProto.FLOAT))
        value = next(value for value in loaded.graph.output if value.name == "labels")
        value.type.tensor_type.elem_type = TensorProto.FLOAT

    with pytest.raises(ContractError, match=r"gives labels as float32 \(\?\), its contract says int64 \(\?\)"):
        kind(instances(suffix, "detections", tmp_path, cast), EngineOptions())


@every_home
def test_the_only_output_of_a_semantic_model_may_be_called_anything(
    kind: Kind, suffix: str, model: Any, colour_contract: Contract
) -> None:
    def rename(loaded: onnx.ModelProto) -> None:
        loaded.graph.node[-1].output[0] = loaded.graph.output[0].name = "logits"

    path = rewrite(model(".onnx", stride=4), rename)
    path = path if suffix == ".onnx" else to_ir(path, colour_contract)
    batch = random_batch(colour_contract)
    np.testing.assert_allclose(kind(path, EngineOptions()).request()(batch)[0], pooled(batch, 4), rtol=1e-5)
