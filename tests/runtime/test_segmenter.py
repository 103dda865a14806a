from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import edgeseg_runtime
from edgeseg_runtime.contract import Contract, Resize
from edgeseg_runtime.errors import EngineError, FrameError, ModelFileError, ScoresError
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.segmenter import Lane, Segmenter, model_file

if TYPE_CHECKING:
    from tests.conftest import TinyModel

BGR = np.array([[0, 0, 255], [0, 255, 0], [255, 0, 0]], np.uint8)
"""Colours of the tiny model's classes (red, green, blue) as a camera gives them."""


def painted(mask: Mask) -> Image:
    """The frame of which the tiny model must say `mask`."""
    return BGR[mask]


def blocks(rows: int, columns: int, size: int, seed: int = 0) -> Mask:
    """A mask of square blocks, so that resizing by whole factors keeps every edge."""
    return np.kron(
        np.random.default_rng(seed).integers(0, 3, (rows, columns), np.uint8), np.ones((size, size), np.uint8)
    )


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("output", ["scores", "mask"])
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_a_frame_becomes_the_mask_it_was_painted_from(
    engine: str, output: Any, order: Any, tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path
) -> None:
    contract = replace(colour_contract, output=output, color_order=order)
    seg = Segmenter.load(tiny_model(contract, tmp_path / "m.onnx"), engine=engine)
    mask = blocks(6, 8, 4)
    wanted = mask if order == "rgb" else 2 - mask  # the net names its first channel "red" whatever it is
    result = seg(painted(mask))
    np.testing.assert_array_equal(result.mask, wanted)
    assert result.contract == contract
    assert seg.engine.name == engine


@pytest.mark.parametrize("size", [(48, 64), (12, 16), (72, 96)])
def test_the_mask_has_the_frames_size(
    size: tuple[int, int], tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path
) -> None:
    seg = Segmenter.load(tiny_model(colour_contract, tmp_path / "m.onnx"))
    mask = blocks(3, 4, size[0] // 3)
    result = seg(painted(mask)).mask
    assert result.shape == size
    # enlarging blurs half a pixel on either side of an edge; nothing else may change
    assert (result == mask).mean() > 0.9
    scale = max(1, size[0] // 24)
    inner = np.kron(
        np.ones((3, 4), bool), np.pad(np.ones((size[0] // 3 - 2 * scale,) * 2, bool), scale, constant_values=False)
    )
    np.testing.assert_array_equal(result[inner], mask[inner])


def test_letterboxed_frames_come_back_without_the_padding(
    tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path
) -> None:
    # the padding is painted blue; a mask that had it in would have blue on the right
    contract = replace(colour_contract, resize="letterbox", mean=(0.0, 0.0, 1.0))
    seg = Segmenter.load(tiny_model(contract, tmp_path / "m.onnx"))
    mask = np.zeros((48, 48), np.uint8)
    mask[:, 24:] = 1
    result = seg(painted(mask)).mask
    assert result.shape == (48, 48)
    assert (result == mask).mean() > 0.9 and not (result == 2).any()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 2), st.sampled_from(["stretch", "letterbox"]))
def test_a_frame_of_one_colour_is_one_class_at_any_size(
    tiny_model: TinyModel,
    colour_contract: Contract,
    tmp_path: Path,
    height: int,
    width: int,
    index: int,
    resize: Resize,
) -> None:
    path = tmp_path / f"{resize}.onnx"
    if not path.exists():
        tiny_model(replace(colour_contract, resize=resize), path)
    mask = np.full((height, width), index, np.uint8)
    np.testing.assert_array_equal(Segmenter.load(path, threads=1)(painted(mask)).mask, mask)


@pytest.mark.parametrize("stride", [2, 4])
def test_scores_and_mask_endings_say_the_same(
    stride: int, tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path
) -> None:
    """The graph that ends in low-resolution scores and the one that ends in a mask agree on every picture."""
    scores = Segmenter.load(tiny_model(colour_contract, tmp_path / "s.onnx", stride=stride))
    mask_file = tiny_model(replace(colour_contract, output="mask"), tmp_path / "m.onnx", stride=stride)
    masks = [Segmenter.load(mask_file, engine=engine) for engine in ("onnxruntime", "openvino")]
    for seed in range(10):
        frame = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
        for other in masks:
            assert (scores(frame).mask != other(frame).mask).mean() < 2e-3  # rounding on a line between classes


def test_lanes_work_side_by_side(tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path) -> None:
    for engine in ("onnxruntime", "openvino"):
        seg = Segmenter.load(tiny_model(colour_contract, tmp_path / "m.onnx"), engine=engine, lanes=2, threads=2)
        masks = [blocks(6, 8, 4, seed) for seed in range(30)]

        def work(lane: Lane, masks: list[Mask] = masks) -> None:
            results = [lane(painted(mask)).mask for mask in masks]
            for mask, result in zip(masks, results, strict=True):  # earlier results must survive later calls
                np.testing.assert_array_equal(result, mask)

        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(work, seg.lane()) for _ in range(2)]:
                done.result()


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("output", ["scores", "mask"])
def test_several_frames_at_once_give_what_each_gives_alone(
    engine: str, output: Any, tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path
) -> None:
    contract = replace(colour_contract, output=output)
    lane = Segmenter.load(tiny_model(contract, tmp_path / "m.onnx", stride=4), engine=engine).lane()
    dice = np.random.default_rng(0)
    frames = [dice.integers(0, 256, size, np.uint8) for size in ((24, 32, 3), (48, 20, 3), (30, 64, 3))]
    alone = [lane(frame).mask.copy() for frame in frames]
    for count in (1, 2, 3):
        results = lane.each(frames[:count])
        assert len(results) == count
        for result, mask in zip(results, alone, strict=False):
            np.testing.assert_array_equal(result.mask, mask)
            assert min(result.times.preprocess, result.times.infer, result.times.decode) > 0
    assert lane.each([]) == []


def test_results_keep_their_masks(tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path) -> None:
    """A result belongs to the caller, even where the engine reuses its output."""
    contract = replace(colour_contract, output="mask")
    for engine in ("onnxruntime", "openvino"):
        seg = Segmenter.load(tiny_model(contract, tmp_path / "m.onnx"), engine=engine)
        first = seg(painted(blocks(6, 8, 4, 1))).mask
        seg(painted(blocks(6, 8, 4, 2)))
        np.testing.assert_array_equal(first, blocks(6, 8, 4, 1))


def test_area_is_the_share_of_the_frame(tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path) -> None:
    mask = np.zeros((24, 32), np.uint8)
    mask[:6] = 2
    result = Segmenter.load(tiny_model(colour_contract, tmp_path / "m.onnx"))(painted(mask))
    assert result.area() == {"red": 0.75, "green": 0.0, "blue": 0.25}


def test_stage_times_are_all_there(tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path) -> None:
    seg = Segmenter.load(tiny_model(colour_contract, tmp_path / "m.onnx"))
    seg.warm_up()
    times = seg(painted(blocks(6, 8, 4))).times
    assert min(times.preprocess, times.infer, times.decode) >= 0
    assert times.preprocess + times.infer + times.decode > 0


def test_what_is_no_frame_is_refused(tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path) -> None:
    seg = Segmenter.load(tiny_model(colour_contract, tmp_path / "m.onnx"))
    wrong: list[Any] = [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), None]
    for frame in wrong:
        with pytest.raises(FrameError):
            seg(frame)
    np.testing.assert_array_equal(seg(painted(blocks(6, 8, 4))).mask, blocks(6, 8, 4))  # and it still works


def test_scores_that_are_no_numbers_are_refused(
    tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path
) -> None:
    seg = Segmenter.load(tiny_model(colour_contract, tmp_path / "m.onnx"))
    lane = Lane(lambda _: (np.full((1, 3, 24, 32), np.nan, np.float32),), seg.contract)
    with pytest.raises(ScoresError):
        lane(painted(blocks(6, 8, 4)))


def test_settings_reach_the_engine(tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path) -> None:
    path = tiny_model(colour_contract, tmp_path / "m.onnx", precision="int8")
    seg = Segmenter.load(path, threads=1)
    assert (seg.engine.threads, seg.precision, seg.path) == (1, "int8", path)
    other = replace(colour_contract, color_order="bgr")
    assert Segmenter.load(path, contract=other).contract == other
    with pytest.raises(EngineError, match="no device 'abacus'"):
        Segmenter.load(path, device="abacus")
    with pytest.raises(EngineError, match="'abacus' is unknown"):
        Segmenter.load(path, engine="abacus")


# --- finding the file ---


def test_a_file_or_a_folder_with_one_model_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "openvino-int8"
    folder.mkdir()
    for name in ("model.xml", "model.bin", "notes.txt", ".model.1a2b.partial.xml"):
        (folder / name).touch()
    assert model_file(folder) == folder / "model.xml" == model_file(folder / "model.xml")


@pytest.mark.parametrize("name", ["weights.pt", "model.pth", "model.pkl", "best.safetensors", "model.bin", "model"])
def test_what_a_device_never_loads_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04.")
    with pytest.raises(ModelFileError, match=rf"{name} is not a model a device runs; give an \.onnx or"):
        Segmenter.load(tmp_path / name)


def test_an_absent_or_empty_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="there is no model at .*absent"):  # noqa: RUF043
        model_file(tmp_path / "absent")
    with pytest.raises(ModelFileError, match=r"holds no \.onnx or \.xml model"):
        model_file(tmp_path)


def test_several_models_are_listed(tmp_path: Path) -> None:
    for name in ("onnx-int8/model.onnx", "openvino-int8/model.xml", "rejected/model.onnx"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    with pytest.raises(ModelFileError, match=r"name one: .*onnx-int8, .*openvino-int8$"):
        model_file(tmp_path)
    for name in ("a.onnx", "b.onnx"):
        (tmp_path / name).touch()
    with pytest.raises(ModelFileError, match=r"name one: .*a\.onnx, .*b\.onnx$"):
        model_file(tmp_path)


def test_an_ir_runs_like_the_onnx_it_came_from(
    tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path
) -> None:
    source = tiny_model(colour_contract, tmp_path / "m.onnx", stride=4)
    model = ov.Core().read_model(source)
    model.set_rt_info(colour_contract.to_json(), ["edgeseg", "contract"])
    ov.save_model(model, tmp_path / "ir" / "m.xml")
    frame = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    np.testing.assert_array_equal(Segmenter.load(tmp_path / "ir")(frame).mask, Segmenter.load(source)(frame).mask)


def test_the_package_gives_its_public_names() -> None:
    assert edgeseg_runtime.Segmenter is Segmenter
    for name in edgeseg_runtime.__all__:
        assert getattr(edgeseg_runtime, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Segmentor'"):
        _ = edgeseg_runtime.Segmentor
