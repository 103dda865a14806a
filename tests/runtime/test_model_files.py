"""A model is its own file and regular files of its own folder. The reference for what it names is the onnx package."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import openvino as ov
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import AttributeProto, GraphProto, ModelProto, SparseTensorProto, TensorProto, helper

from edgeseg_runtime.contract import CONTRACT_KEY, Contract
from edgeseg_runtime.engines import ENGINES, Engine, EngineOptions
from edgeseg_runtime.engines.model_files import check_model_file, size_on_disk
from edgeseg_runtime.engines.onnx_external import MAX_DEPTH, external_files, locations
from edgeseg_runtime.errors import ModelFileError
from edgeseg_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from tests.conftest import TinyModel

Kind = type[Engine]
Place = Callable[[ModelProto, TensorProto], None]
every_engine = pytest.mark.parametrize("kind", ENGINES.values(), ids=ENGINES.keys())
WEIGHTS = np.arange(1, 4, dtype=np.float32)


def tensor(location: str, *, name: str = "w", offset: int | None = None) -> TensorProto:
    """A float32 (1, 3, 1, 1) tensor that is kept in a file."""
    made = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1, 3, 1, 1])
    made.data_location = TensorProto.EXTERNAL
    made.external_data.add(key="location", value=location)
    if offset is not None:
        made.external_data.add(key="offset", value=str(offset))
    return made


def write(path: Path, contract: Contract, location: str) -> Path:
    """Write a model that multiplies its input's channels by three weights kept in a file."""
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, *contract.size, 3])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3, *contract.size])
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["real"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["planes", "w"], ["scores"]),
    ]
    graph = helper.make_graph(nodes, "net", [image], [scores], [tensor(location)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {CONTRACT_KEY: contract.to_json()})
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a model, beside a file with weights that are none of its business."""
    (tmp_path / "secret.bin").write_bytes(WEIGHTS.tobytes())
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def run(kind: Kind, path: Path, contract: Contract) -> Any:
    batch = np.full((1, *contract.size, 3), 2, np.uint8)
    return kind(path, EngineOptions()).request()(batch)[0][0, :, 0, 0]


# --- weights in files of their own ---


@every_engine
@pytest.mark.parametrize("location", ["w.bin", "./w.bin", "deep/er/w.bin", "strange name ü.bin"])
def test_weights_in_the_models_own_folder_are_welcome(
    kind: Kind, location: str, folder: Path, colour_contract: Contract
) -> None:
    (folder / location).parent.mkdir(parents=True, exist_ok=True)
    (folder / location).write_bytes(WEIGHTS.tobytes())
    path = write(folder / "m.onnx", colour_contract, location)
    np.testing.assert_array_equal(run(kind, path, colour_contract), 2 * WEIGHTS)
    assert size_on_disk(path) == path.stat().st_size + 12


def place_dots(folder: Path) -> str:
    return "../secret.bin"


def place_dots_inside(folder: Path) -> str:
    (folder / "sub").mkdir()
    return "sub/../../secret.bin"


def place_absolute(folder: Path) -> str:
    return str(folder.parent / "secret.bin")


def place_symlink(folder: Path) -> str:
    (folder / "w.bin").symlink_to(folder.parent / "secret.bin")
    return "w.bin"


def place_symlinked_folder(folder: Path) -> str:
    (folder / "sub").symlink_to(folder.parent)
    return "sub/secret.bin"


def place_hard_link(folder: Path) -> str:
    os.link(folder.parent / "secret.bin", folder / "w.bin")
    return "w.bin"


def place_folder(folder: Path) -> str:
    (folder / "w.bin").mkdir()
    return "w.bin"


def place_pipe(folder: Path) -> str:
    os.mkfifo(folder / "w.bin")
    return "w.bin"


def place_nothing(folder: Path) -> str:
    return "w.bin"


def place_memory(folder: Path) -> str:
    return "*/_ORT_MEM_ADDR_/*"  # what ONNX Runtime calls weights at an address of the process's memory


def place_backslash(folder: Path) -> str:
    return "..\\secret.bin"


def place_no_name(folder: Path) -> str:
    return ""


@every_engine
@pytest.mark.parametrize(
    ("place", "words"),
    [
        (place_dots, "not in the model's own folder"),
        (place_dots_inside, "not in the model's own folder"),
        (place_absolute, "not in the model's own folder"),
        (place_backslash, "not in the model's own folder"),
        (place_symlink, "is a symbolic link"),
        (place_symlinked_folder, "is a symbolic link"),
        (place_hard_link, "a hard link to a file that has 2 names"),
        (place_folder, "not a regular file"),
        (place_pipe, "not a regular file"),
        (place_no_name, "not a regular file"),
        (place_nothing, "cannot be read: No such file"),
        (place_memory, "cannot be read: No such file"),
    ],
)
def test_weights_anywhere_else_are_refused(
    kind: Kind, place: Callable[[Path], str], words: str, folder: Path, colour_contract: Contract
) -> None:
    path = write(folder / "m.onnx", colour_contract, place(folder))
    with pytest.raises(ModelFileError, match=words) as caught:
        kind(path, EngineOptions())
    assert len(str(caught.value).splitlines()) == 1
    assert str(path) in str(caught.value)


@every_engine
def test_left_to_themselves_the_engines_read_a_hard_link(
    kind: Kind, folder: Path, colour_contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: what the check refuses is a real way out of the folder."""
    path = write(folder / "m.onnx", colour_contract, place_hard_link(folder))
    monkeypatch.setattr("edgeseg_runtime.engines.base.check_model_file", lambda _: None)
    np.testing.assert_array_equal(run(kind, path, colour_contract), 2 * WEIGHTS)


def test_a_model_reached_by_a_link_must_hold_its_own_weights(
    folder: Path, colour_contract: Contract, tiny_model: TinyModel
) -> None:
    (folder / "w.bin").write_bytes(WEIGHTS.tobytes())
    path = write(folder / "m.onnx", colour_contract, "w.bin")
    (folder.parent / "current.onnx").symlink_to(path)
    with pytest.raises(ModelFileError, match="is a symbolic link; give the model's real path"):
        check_model_file(folder.parent / "current.onnx")
    (folder.parent / "newest").symlink_to(folder)
    check_model_file(folder.parent / "newest" / "m.onnx")  # a link to the whole folder takes the weights along
    whole = tiny_model(colour_contract, folder / "whole.onnx")
    (folder.parent / "whole.onnx").symlink_to(whole)
    assert Segmenter.load(folder.parent / "whole.onnx").contract == colour_contract


# --- OpenVINO's own format ---


@pytest.fixture
def ir(folder: Path, colour_contract: Contract) -> Path:
    """A model in OpenVINO's format with weights."""
    (folder / "w.bin").write_bytes(WEIGHTS.tobytes())
    model = ov.Core().read_model(write(folder / "m.onnx", colour_contract, "w.bin"))
    model.set_rt_info(colour_contract.to_json(), ["edgeseg", "contract"])
    ov.save_model(model, folder / "ir.xml", compress_to_fp16=False)
    return folder / "ir.xml"


@pytest.mark.parametrize(("link", "words"), [("symbolic", "is a symbolic link"), ("hard", "a hard link to a file")])
def test_weights_of_an_ir_are_its_own(
    link: str, words: str, ir: Path, colour_contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = ENGINES["openvino"]
    np.testing.assert_array_equal(run(kind, ir, colour_contract), 2 * WEIGHTS)
    secret = ir.parent.parent / "secret.bin"
    ir.with_suffix(".bin").replace(secret)
    if link == "hard":
        os.link(secret, ir.with_suffix(".bin"))
    else:
        ir.with_suffix(".bin").symlink_to(secret)
    with pytest.raises(ModelFileError, match=words):
        kind(ir, EngineOptions())
    monkeypatch.setattr("edgeseg_runtime.engines.base.check_model_file", lambda _: None)
    np.testing.assert_array_equal(run(kind, ir, colour_contract), 2 * WEIGHTS)  # the control


# --- pickles ---


@pytest.mark.parametrize("name", ["m.pt", "m.pth", "m.pkl", "m.PKL", "m.ckpt", "m.bin"])
def test_a_pickle_is_refused_with_the_reason(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04.")
    with pytest.raises(ModelFileError, match=r"give an \.onnx .*may be a pickle, which can run any program"):
        Segmenter.load(tmp_path / name)


@pytest.mark.parametrize("name", ["m.onnx", "m.xml"])
@pytest.mark.parametrize("head", [*(bytes([0x80, protocol]) for protocol in range(2, 6)), b"PK\x03\x04"])
def test_a_pickle_is_known_by_its_content(name: str, head: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(head + b"anything")
    with pytest.raises(ModelFileError, match="is a pickle by its content"):
        Segmenter.load(tmp_path / name)


def test_weights_without_a_network_are_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(bytes(8))
    with pytest.raises(ModelFileError, match="holds weights without a network; export it"):
        Segmenter.load(tmp_path / "m.safetensors")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused_without_waiting(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "m.onnx")
    with pytest.raises(ModelFileError, match="is not a file"):
        check_model_file(tmp_path / "m.onnx")


# --- reading the file: every place where a tensor can be ---


def in_initializer(model: ModelProto, value: TensorProto) -> None:
    model.graph.initializer.append(value)


def in_constant(model: ModelProto, value: TensorProto) -> None:
    model.graph.node.add().attribute.append(helper.make_attribute("value", value))


def in_list(model: ModelProto, value: TensorProto) -> None:
    model.graph.node.add().attribute.append(helper.make_attribute("values", [value]))


def in_sparse_values(model: ModelProto, value: TensorProto) -> None:
    model.graph.sparse_initializer.append(SparseTensorProto(values=value))


def in_sparse_indices(model: ModelProto, value: TensorProto) -> None:
    attribute = model.graph.node.add().attribute.add(name="sparse", type=AttributeProto.SPARSE_TENSOR)
    attribute.sparse_tensor.indices.CopyFrom(value)


def in_sparse_list(model: ModelProto, value: TensorProto) -> None:
    attribute = model.graph.node.add().attribute.add(name="sparse", type=AttributeProto.SPARSE_TENSORS)
    attribute.sparse_tensors.append(SparseTensorProto(values=value))


def in_branch(model: ModelProto, value: TensorProto) -> None:
    inner = GraphProto(initializer=[value])
    middle = GraphProto()
    middle.node.add().attribute.append(helper.make_attribute("branches", [inner]))
    model.graph.node.add().attribute.append(helper.make_attribute("body", middle))


def in_function(model: ModelProto, value: TensorProto) -> None:
    model.functions.add().node.add().attribute.append(helper.make_attribute("value", value))


def in_function_default(model: ModelProto, value: TensorProto) -> None:
    model.functions.add().attribute_proto.append(helper.make_attribute("value", value))


def in_training(model: ModelProto, value: TensorProto) -> None:
    model.training_info.add().initialization.initializer.append(value)


def in_training_algorithm(model: ModelProto, value: TensorProto) -> None:
    model.training_info.add().algorithm.initializer.append(value)


PLACES: list[Place] = [
    in_initializer,
    in_constant,
    in_list,
    in_sparse_values,
    in_sparse_indices,
    in_sparse_list,
    in_branch,
    in_function,
    in_function_default,
    in_training,
    in_training_algorithm,
]


def named_by_onnx(message: Any) -> Iterator[str]:
    """Every location in a message, found by protobuf's own reflection."""
    if isinstance(message, TensorProto):
        for entry in message.external_data:
            if entry.key == "location":  # protobuf gives bytes where they are no UTF-8
                yield os.fsdecode(entry.value)
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in [value] if hasattr(value, "ListFields") else value:
                yield from named_by_onnx(inner)


@pytest.mark.parametrize("place", PLACES)
def test_weights_are_found_wherever_they_are(place: Place, tmp_path: Path) -> None:
    model = ModelProto(ir_version=9)
    place(model, tensor("../secret.bin", offset=0))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert external_files(tmp_path / "m.onnx") == {"../secret.bin"} == set(named_by_onnx(model))
    with pytest.raises(ModelFileError, match=r"'\.\./secret\.bin', which is not in the model's own folder"):
        check_model_file(tmp_path / "m.onnx")


def test_the_table_knows_every_message_of_onnx_that_leads_to_a_tensor() -> None:
    """A later ONNX may keep tensors in new places: then this fails, and the table has to grow."""
    from edgeseg_runtime.engines.onnx_external import _ROUTES

    names = {"Training": "TrainingInfoProto", "Entry": "StringStringEntryProto"}

    def proto(name: str) -> str:
        return names.get(name, f"{name}Proto")

    reach = {"TensorProto"}
    messages = {value.name: value for value in onnx.onnx_ml_pb2.DESCRIPTOR.message_types_by_name.values()}
    while True:
        more = {
            name
            for name, message in messages.items()
            if any(field.message_type is not None and field.message_type.name in reach for field in message.fields)
        }
        if more <= reach:
            break
        reach |= more
    wanted = {
        (name, field.number, field.message_type.name)
        for name in reach
        for field in messages[name].fields
        if field.message_type is not None and field.message_type.name in reach
    }
    known = {
        (proto(name), number, proto(inner)) for name, fields in _ROUTES.items() for number, inner in fields.items()
    }
    assert known - {("TensorProto", 13, "StringStringEntryProto")} == wanted


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def models(draw: st.DrawFn) -> ModelProto:
    model = ModelProto(ir_version=draw(st.integers(0, 20)), producer_name=draw(names))
    for place in draw(st.lists(st.sampled_from(PLACES), max_size=6)):
        value = tensor(draw(names), name=draw(names))
        if draw(st.booleans()):
            value.raw_data = draw(st.binary(max_size=300))
        place(model, value)
    return model


@given(models())
def test_what_is_found_is_what_onnx_finds(model: ModelProto) -> None:
    assert set(locations(model.SerializeToString())) == set(named_by_onnx(model))


@settings(max_examples=400)
@given(models(), st.data())
def test_damage_never_hides_weights(model: ModelProto, data: st.DataObject) -> None:
    """Whatever protobuf still reads after some bytes were changed, this reads too, or refuses the file."""
    raw = bytearray(model.SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    try:
        found = set(locations(bytes(raw)))
    except ValueError:
        return
    damaged = ModelProto()
    try:
        damaged.ParseFromString(bytes(raw))
    except Exception:
        return
    assert set(named_by_onnx(damaged)) <= found


@settings(max_examples=400)
@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        for location in locations(raw):
            assert isinstance(location, str)
    except ValueError as error:
        assert str(error)


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field in protobuf's wire format."""
    size, head = len(content), bytearray()
    while size >= 0x80:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2]) + bytes(head) + bytes([size]) + content


def nested(depth: int) -> bytes:
    """A graph in a node's attribute in a graph, and so on."""
    content = b""
    for _ in range(depth):
        content = field(1, field(5, field(6, content)))
    return field(7, content)


def test_nesting_without_end_is_refused() -> None:
    assert list(locations(nested(MAX_DEPTH // 3 - 2))) == []
    for depth in (MAX_DEPTH, 20_000):
        with pytest.raises(ValueError, match=f"nested deeper than {MAX_DEPTH}"):
            list(locations(nested(depth)))


def test_fields_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeseg_runtime.engines.onnx_external.MAX_FIELDS", 1000)
    assert list(locations(field(7, b"\x0a\x00" * 900))) == []
    with pytest.raises(ValueError, match="more than 1000 fields"):
        list(locations(field(7, b"\x0a\x00" * 1100)))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"\x3a\x05\x00", "a part of it is missing"),  # five bytes announced, one there
        (b"\x3a\xff\xff\xff\xff\x0f", "a part of it is missing"),
        (b"\x3a\xff\xff\xff\xff\xff\x01", "a number that never ends"),
        (b"\x08" + b"\xff" * 11, "a number that never ends"),
        (b"\x3b\x3c", "the unknown kind 3"),  # a group, in which some readers might look
        (b"\x02\x00", "an impossible number"),
        (b"\xfa\xff\xff\xff\x7f\x00", "an impossible number"),
        (b"\x09\x00", "a part of it is missing"),
        (b"\x08", "a part of it is missing"),
    ],
)
def test_what_is_no_protobuf_is_refused(raw: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        list(locations(raw))
    (tmp_path / "m.onnx").write_bytes(raw)
    with pytest.raises(ModelFileError, match=rf"m\.onnx is no ONNX model: .*{words}"):
        check_model_file(tmp_path / "m.onnx")
