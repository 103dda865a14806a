"""Instance models from file to objects, in every engine; and what a result tells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edgeseg_runtime.contract import Contract, Resize
from edgeseg_runtime.errors import FrameError, ScoresError
from edgeseg_runtime.instances.result import NO_CLASS, InstanceResult
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import UNTIMED
from edgeseg_runtime.segmenter import Lane, Segmenter
from tests.instance_model import instance_contract, write_instance_model

every_ending = pytest.mark.parametrize("output", ["prototypes", "detections"])
every_engine = pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])


def load(folder: Path, engine: str, output: str, **changes: object) -> Segmenter:
    contract = instance_contract(output, **changes)
    return Segmenter.load(write_instance_model(contract, folder / f"{output}.onnx"), engine=engine)


def run(segmenter: Segmenter, frame: Image) -> InstanceResult:
    result = segmenter(frame)
    assert isinstance(result, InstanceResult)
    return result


def painted(*blocks: tuple[int, int, int, slice, slice]) -> Image:
    """A dark frame of 48×64 with a rectangle in some blocks: row, column, channel, rows and columns in the block."""
    frame = np.zeros((48, 64, 3), np.uint8)
    for row, column, channel, rows, columns in blocks:
        frame[16 * row : 16 * row + 16, 16 * column : 16 * column + 16][rows, columns, channel] = 255
    return frame


ALL = slice(None)
THREE = painted((0, 1, 0, ALL, ALL), (1, 2, 2, slice(2, 14), slice(4, 12)), (2, 3, 1, slice(0, 4), ALL))
"""A blue block, a red rectangle in another, a green strip in a third."""


def bits(frame: Image) -> npt.NDArray[np.bool_]:
    return np.asarray(frame.any(axis=2))


@every_engine
@every_ending
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_objects_are_what_was_painted(engine: str, output: str, order: str, tmp_path: Path) -> None:
    result = run(load(tmp_path, engine, output, color_order=order), THREE)
    blue, red = (2, 0) if order == "rgb" else (0, 2)  # the net names its first channel "red" whatever it is
    assert result.labels.tolist() == [blue, red, 1]
    np.testing.assert_allclose(result.scores, [1, 96 / 256, 64 / 256], atol=1e-6)
    assert result.boxes.tolist() == [[16, 0, 32, 16], [32, 16, 48, 32], [48, 32, 64, 48]]
    wanted = np.full((48, 64), NO_CLASS, np.uint8)
    wanted[THREE[..., 0] > 0], wanted[THREE[..., 2] > 0], wanted[THREE[..., 1] > 0] = blue, red, 1
    np.testing.assert_array_equal(result.mask, wanted)
    assert [region.area for region in result.regions] == [256, 96, 64]
    assert result.area() == pytest.approx(
        {"red": 0, "green": 64 / 3072, "blue": 0}
        | {
            ("red", "green", "blue")[blue]: 256 / 3072,
            ("red", "green", "blue")[red]: 96 / 3072,
        }
    )


@every_engine
@every_ending
@pytest.mark.parametrize(
    ("resize", "size"), [("stretch", (96, 256)), ("letterbox", (96, 96)), ("letterbox", (48, 128))]
)
def test_objects_lie_where_they_do_in_a_frame_of_another_size(
    engine: str, output: str, resize: Resize, size: tuple[int, int], tmp_path: Path
) -> None:
    height, width = size
    scale = {"stretch": (2, 4), "letterbox": (max(height // 48, width // 64),) * 2}[resize]
    content = THREE[: height // scale[0], : width // scale[1]]
    frame = content.repeat(scale[0], 0).repeat(scale[1], 1)
    result = run(load(tmp_path, engine, output, resize=resize, mean=(0.0, 0.0, 0.0)), frame)  # padding is dark
    assert result.mask.shape == size
    wrong = (result.mask == NO_CLASS) == bits(frame)
    assert wrong.mean() < 0.01  # cells of two pixels are interpolated across edges
    assert not wrong[8 * scale[0] : 9 * scale[0], 18 * scale[1] : 30 * scale[1]].any()
    assert result.boxes[0].tolist() == [16 * scale[1], 0, 32 * scale[1], 16 * scale[0]]


@every_engine
@every_ending
def test_results_stay_when_the_lane_goes_on(engine: str, output: str, tmp_path: Path) -> None:
    segmenter = load(tmp_path, engine, output)
    first = run(segmenter, THREE)
    assert len(run(segmenter, np.zeros((48, 64, 3), np.uint8))) == 0
    assert [region.area for region in first.regions] == [256, 96, 64]
    assert first.scores.tolist()[0] == 1
    assert min(first.times.preprocess, first.times.infer, first.times.decode) > 0
    segmenter.warm_up()
    with pytest.raises(FrameError):
        segmenter(np.zeros((4, 4), np.uint8))


def test_without_objects_there_is_no_class(tmp_path: Path) -> None:
    result = run(load(tmp_path, "onnxruntime", "prototypes"), np.zeros((30, 40, 3), np.uint8))
    assert (len(result), result.boxes.shape, result.regions) == (0, (0, 4), ())
    np.testing.assert_array_equal(result.mask, np.full((30, 40), NO_CLASS, np.uint8), strict=True)
    assert result.area() == {"red": 0, "green": 0, "blue": 0}


def test_of_two_objects_the_surer_has_the_pixel() -> None:
    from edgeseg_runtime.instances.decode import InstanceDecoder

    contract = instance_contract("detections")
    boxes = np.array([[0, 0, 10, 10], [5, 0, 20, 10]], np.float32)
    outputs = boxes, np.array([1, 2]), np.array([0.9, 0.8], np.float32), np.ones((2, 3, 3), np.float32)
    result = InstanceDecoder(contract)(outputs, 48, 64)
    assert result.mask[3, [0, 9, 10, 19, 20]].tolist() == [1, 1, 2, 2, 255]
    assert result.area() == {"red": 0, "green": 100 / 3072, "blue": 100 / 3072}


def test_scores_that_are_no_numbers_are_refused() -> None:
    contract: Contract = instance_contract("detections")
    raw: tuple[npt.NDArray[Any], ...] = (
        np.zeros((1, 4), np.float32),
        np.zeros(1, np.int64),
        np.full(1, np.nan, np.float32),
        np.zeros((1, 3, 3), np.float32),
    )
    with pytest.raises(ScoresError):
        Lane(lambda _: raw, contract)(THREE)


def test_ids_and_times_can_be_put_in() -> None:
    contract = instance_contract()
    empty = InstanceResult(
        np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.uint8), (), 4, 5, contract, UNTIMED
    )
    assert empty.ids == () and replace(empty, ids=(3,)).ids == (3,)
