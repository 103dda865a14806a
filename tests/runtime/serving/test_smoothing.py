"""Scores and masks smoothed over a camera's frames, in the process that runs the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from edgeseg_runtime.contract import ColorOrder, Contract, Label, Resize
from edgeseg_runtime.decode import Scores
from edgeseg_runtime.live.base import Moment
from edgeseg_runtime.preprocess import Image, to_input
from edgeseg_runtime.serving.server import ModelServer
from edgeseg_runtime.serving.smoothing import Smoothing
from edgeseg_runtime.serving.spec import ModelSpec
from edgeseg_runtime.temporal.hysteresis import LabelSmoother
from edgeseg_runtime.temporal.smooth import ScoreSmoother
from edgeseg_runtime.temporal.thumbnail import thumbnail

if TYPE_CHECKING:
    from tests.conftest import TinyModel
    from tests.runtime.serving.conftest import MakeServer

BOX = Contract(tuple(Label(name, (0, 0, 0)) for name in "abc"), height=96, width=128, resize="letterbox")


def texture(seed: int, rows: int = 60, columns: int = 120) -> Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (rows // 4, columns // 4, 3), np.uint8)
    return cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC)  # type: ignore[return-value]


def noise(seed: int) -> Scores:
    return np.random.default_rng(seed).normal(0, 1, (3, 24, 32)).astype(np.float32)


def run(
    smoothing: Smoothing, seed: int, frame: Image, at: float, camera: str = "door", contract: Contract = BOX
) -> Scores:
    size = frame.shape[0], frame.shape[1]
    return smoothing.smooth(noise(seed), to_input(frame, contract), contract, camera, size, at)


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_it_is_the_smoother_on_the_part_of_the_input_that_the_frame_fills(order: ColorOrder, resize: Resize) -> None:
    contract = replace(BOX, color_order=order, resize=resize)
    smoothing, alone = Smoothing(), ScoreSmoother(contract)
    for index in range(6):
        frame = np.ascontiguousarray(texture(0, 60, 200)[:, 2 * index : 2 * index + 120])
        # a letterbox scales 60×120 to 64×128 of 96×128; the rest is padding, which nothing may be read from
        filled = to_input(frame, contract)[: 64 if resize == "letterbox" else 96]
        look = thumbnail(np.ascontiguousarray(filled if order == "bgr" else filled[:, :, ::-1]))
        expected = alone.smooth(noise(index), look, 5 + index / 15)
        np.testing.assert_array_equal(run(smoothing, index, frame, 5 + index / 15, contract=contract), expected)


def test_each_camera_has_a_past_of_its_own() -> None:
    together, door, yard = Smoothing(), Smoothing(), Smoothing()
    for index in range(5):
        at, frame = 1 + index / 10, texture(3)
        one = run(together, index, frame, at, "door")
        other = run(together, 50 + index, frame, at, "yard")
        np.testing.assert_array_equal(one, run(door, index, frame, at))
        np.testing.assert_array_equal(other, run(yard, 50 + index, frame, at))
    assert (one != noise(4)).any()


@pytest.mark.parametrize("why", ["cut", "gap", "size", "input"])
def test_the_past_ends_where_it_has_nothing_to_do_with_the_picture(why: str) -> None:
    smoothing, frame = Smoothing(), texture(4)
    run(smoothing, 0, frame, 1.0)
    assert (run(smoothing, 1, frame, 1.1) != noise(1)).any()
    at, contract = 1.2, BOX
    if why == "cut":
        frame = texture(5) // 4
    elif why == "gap":
        at = 2.0  # a camera that was gone
    elif why == "size":
        frame = texture(4, 100, 120)
    else:
        contract = replace(BOX, height=48, width=64)
    np.testing.assert_array_equal(run(smoothing, 2, frame, at, contract=contract), noise(2))
    assert (run(smoothing, 3, frame, at + 0.1, contract=contract) != noise(3)).any()  # from there it goes on


def test_a_strip_too_low_to_find_motion_in_is_smoothed_in_place() -> None:
    smoothing, strip = Smoothing(), np.zeros((8, 120, 3), np.uint8)
    alone = ScoreSmoother(BOX, motion=False)
    for index in range(3):
        expected = alone.smooth(noise(index), np.zeros((9, 128, 3), np.uint8), 1 + index / 10)
        np.testing.assert_allclose(run(smoothing, index, strip, 1 + index / 10), expected)


def shades(red: int, green: int) -> Image:
    """A chequered picture, so that a change of colour below is no cut; there the scores are `red` and `green`."""
    frame = np.kron(np.indices((4, 4)).sum(0) % 2, np.ones((12, 16))).astype(np.uint8)[:, :, None].repeat(3, 2) * 220
    frame[36:] = 0, green, red
    return frame


def classes(server: ModelServer, frame: Image, moment: Moment | None) -> set[int]:
    """Return the classes of its lower end."""
    return set(np.unique(server.infer(frame, moment).mask[40:]).tolist())


def test_a_served_model_smooths_by_camera_and_time_and_forgets_with_its_process(
    forward: ModelSpec, backward: ModelSpec, serve_model: MakeServer
) -> None:
    """The tiny model's scores are the colours, so the average can be told by hand."""
    server = serve_model(replace(forward, smooth=True))
    assert server.status().smoothed
    red, greenish = shades(200, 10), shades(90, 120)

    def shown(frame: Image, camera: str, at: float) -> set[int]:
        return classes(server, frame, Moment(camera, at))

    assert shown(red, "door", 10.0) == {0}
    # 0.05 s later the past counts for 1/√2: .71·200 + .29·90 = 168 red against .71·10 + .29·120 = 42 green
    assert shown(greenish, "door", 10.05) == {0}
    assert shown(greenish, "yard", 10.05) == {1}  # another camera
    assert classes(server, greenish, None) == {1}  # a picture that stands for itself
    assert shown(greenish, "door", 10.10) == {0}
    assert shown(greenish, "door", 11.0) == {1}  # after a gap in time
    assert shown(red, "door", 12.0) == {0}
    server.swap(replace(backward, smooth=True))
    assert shown(greenish, "door", 12.05) == {1}  # green is the middle one there, too


def test_without_being_asked_nothing_is_smoothed(forward: ModelSpec, serve_model: MakeServer) -> None:
    server = serve_model(forward)
    assert not server.status().smoothed
    for at, frame, wanted in ((1.0, shades(200, 10), 0), (1.05, shades(90, 120), 1)):
        assert classes(server, frame, Moment("door", at)) == {wanted}


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_of_a_model_that_ends_in_a_mask_the_labels_are_smoothed_where_the_frame_is(resize: Resize) -> None:
    contract = replace(BOX, output="mask", resize=resize)
    smoothing, alone = Smoothing(), LabelSmoother()
    rows = 64 if resize == "letterbox" else 96
    dice = np.random.default_rng(7)
    for index in range(8):
        frame = np.ascontiguousarray(texture(0, 60, 200)[:, 2 * index : 2 * index + 120])
        image = to_input(frame, contract)
        mask = dice.integers(0, 3, (96, 128), np.uint8)
        before = mask.copy()
        look = thumbnail(np.ascontiguousarray(image[:rows, :, ::-1]))
        expected = mask.copy()
        expected[:rows] = alone.smooth(mask[:rows], look, 5 + index / 15)
        shown = smoothing.smooth(mask, image, contract, "door", (60, 120), 5 + index / 15)
        np.testing.assert_array_equal(shown, expected)
        np.testing.assert_array_equal(mask, before)
    assert (shown[:rows] != mask[:rows]).any()


def test_a_served_model_that_ends_in_a_mask_holds_a_class_until_three_masks_gainsay_it(
    tmp_path: Path, colour_contract: Contract, tiny_model: TinyModel, forward: ModelSpec, serve_model: MakeServer
) -> None:
    path = tiny_model(replace(colour_contract, output="mask"), tmp_path / "mask.onnx")
    server = serve_model(ModelSpec(path, threads=1, smooth=True))
    assert server.status().smoothed
    red, greenish = shades(200, 10), shades(90, 120)

    def shown(frame: Image, at: float, camera: str = "door") -> set[int]:
        return classes(server, frame, Moment(camera, at))

    assert shown(red, 10.0) == {0}
    assert [shown(greenish, 10.0 + step / 10) for step in (1, 2)] == [{0}, {0}]
    assert shown(greenish, 10.2, "yard") == {1}  # another camera
    assert classes(server, greenish, None) == {1}  # a picture that stands for itself
    assert shown(greenish, 10.3) == {1}
    assert shown(red, 10.4) == {1}
    assert shown(red, 11.5) == {0}  # after a gap in time
    plain = serve_model(ModelSpec(path, threads=1))
    assert [classes(plain, frame, Moment("door", at)) for frame, at in ((red, 1.0), (greenish, 1.1))] == [{0}, {1}]
    server.swap(replace(forward, smooth=True))  # from masks to scores
    assert shown(greenish, 11.6) == {1}
