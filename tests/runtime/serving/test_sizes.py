"""A model that works at a smaller input size while it is too slow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.contract import Contract, Label, Resize
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.live.base import Moment
from edgeseg_runtime.segmenter import Segmenter
from edgeseg_runtime.serving.sizes import contracts_at
from edgeseg_runtime.serving.spec import ModelSpec
from edgeseg_runtime.temporal.adaptive import DOWN_SAMPLES, UP_SAMPLES

if TYPE_CHECKING:
    from tests.runtime.serving.conftest import Diary, MakeServer, WriteModel

SLOW, QUICK = 1e-6, 1e6
"""Seconds between frames that are too few for any model, and enough."""


def contract_of(height: int, width: int) -> Contract:
    return Contract((Label("a", (0, 0, 0)), Label("b", (1, 1, 1))), height, width)


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        ((512, 512), [(256, 256), (384, 384), (512, 512)]),
        ((320, 640), [(160, 320), (256, 480), (320, 640)]),  # whole 32s: 240 lies between 224 and 256
        ((360, 480), [(176, 240), (272, 360), (360, 480)]),  # whole 8s
        ((97, 131), [(48, 66), (73, 98), (97, 131)]),
        ((32, 64), [(16, 32), (24, 48), (32, 64)]),  # whole 32s would make squares of them
    ],
)
def test_half_and_three_quarters_in_steps_that_the_network_knows(
    size: tuple[int, int], sizes: list[tuple[int, int]]
) -> None:
    assert [contract.size for contract in contracts_at(contract_of(*size))] == sizes


def test_a_size_that_cannot_be_made_smaller_is_refused() -> None:
    with pytest.raises(ConfigError, match="an input of 1×3 is too small to be made smaller"):
        contracts_at(contract_of(1, 3))


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_sizes_grow_and_end_with_the_models_own(height: int, width: int) -> None:
    own = contract_of(height, width)
    try:
        contracts = contracts_at(own)
    except ConfigError:
        return
    pixels = [contract.height * contract.width for contract in contracts]
    assert contracts[-1] == own and pixels == sorted(set(pixels))
    for contract, share in zip(contracts[::-1], (1, 0.75, 0.5), strict=False):
        if len(contracts) == 3:
            assert contract.height == pytest.approx(share * height, rel=0.07)
            assert contract.width == pytest.approx(share * width, rel=0.07)
        assert replace(contract, height=height, width=width) == own


@pytest.fixture
def pliable(tmp_path: Path, write: WriteModel, colour_contract: Contract) -> ModelSpec:
    contract = replace(colour_contract, height=96, width=128)
    return ModelSpec(write(tmp_path / "open.onnx", contract, open_size=True), threads=1, adapt=True)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_masks_at_every_size_are_those_of_the_same_file_loaded_for_it(
    engine: str,
    resize: Resize,
    pliable: ModelSpec,
    write: WriteModel,
    serve_model: MakeServer,
    colour_contract: Contract,
) -> None:
    contract = replace(colour_contract, height=96, width=128, resize=resize)
    write(pliable.path, contract, open_size=True)
    server = serve_model(replace(pliable, engine=engine))
    process = server._serving
    assert process is not None
    random = np.random.default_rng(0)
    for place, size in enumerate([(48, 64), (72, 96), (96, 128)]):
        process._place.index = place
        smaller = replace(contract, height=size[0], width=size[1])
        alone = Segmenter.load(pliable.path, engine=engine, threads=1, contract=smaller)
        for shape in [(120, 200, 3), (*size, 3), (31, 20, 3)]:
            frame = random.integers(0, 255, shape, np.uint8)
            result = server.infer(frame)
            np.testing.assert_array_equal(result.mask, alone(frame).mask)
            assert result.contract == contract  # the model's, whatever size it works at
    assert server.status().sizes == {"48×64": 3, "72×96": 3, "96×128": 3}


def test_what_is_where_in_the_picture_does_not_depend_on_the_size(pliable: ModelSpec, serve_model: MakeServer) -> None:
    server = serve_model(pliable)
    process = server._serving
    assert process is not None
    frame = np.zeros((120, 200, 3), np.uint8)
    frame[:40, :100, 2] = frame[40:, :100, 1] = frame[:, 100:, 0] = 200
    wanted = np.full((120, 200), 2, np.uint8)  # red, green and blue
    wanted[:40, :100], wanted[40:, :100] = 0, 1
    for place in range(3):
        process._place.index = place
        wrong = np.argwhere(server.infer(frame).mask != wanted)
        assert all(abs(row - 40) <= 2 or abs(column - 100) <= 2 for row, column in wrong)


def test_it_gets_smaller_while_frames_come_faster_than_masks_and_larger_again(
    pliable: ModelSpec, serve_model: MakeServer, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeseg_runtime.temporal.adaptive.FIRST_WAIT_S", 0.0)
    server, frame = serve_model(pliable), np.zeros((96, 128, 3), np.uint8)
    assert server.status().sizes == {"48×64": 0, "72×96": 0, "96×128": 0}
    for _ in range(DOWN_SAMPLES + 1):  # the first one is not counted
        server.infer(frame, Moment("door", 1.0, SLOW))
    assert [(told.data["height"], told.data["width"]) for told in diary.of("model.resized")] == [(48, 64)]
    assert server.status().sizes == {"48×64": 0, "72×96": 0, "96×128": DOWN_SAMPLES + 1}
    for _ in range(2 * (UP_SAMPLES + 1)):
        server.infer(frame, Moment("door", 1.0, QUICK))
    assert [told.data["width"] for told in diary.of("model.resized")] == [64, 96, 128]
    assert server.status().sizes == {"48×64": UP_SAMPLES + 1, "72×96": UP_SAMPLES + 1, "96×128": DOWN_SAMPLES + 1}


def test_without_a_rate_it_stays_as_it_is_and_unasked_it_has_one_size(
    pliable: ModelSpec, serve_model: MakeServer, diary: Diary
) -> None:
    server, frame = serve_model(pliable), np.zeros((96, 128, 3), np.uint8)
    for moment in [None, Moment("door", 1.0)] * 10:
        server.infer(frame, moment)
    other = serve_model(replace(pliable, adapt=False))
    for _ in range(20):
        other.infer(frame, Moment("door", 1.0, SLOW))
    assert not diary.of("model.resized")
    assert server.status().sizes == {"48×64": 0, "72×96": 0, "96×128": 20} and other.status().sizes == {}


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_file_of_one_size_is_refused(engine: str, forward: ModelSpec, serve_model: MakeServer) -> None:
    with pytest.raises(ConfigError, match=r"--adapt needs a model whose input size is open, .*forward.onnx is fixed"):
        serve_model(replace(forward, engine=engine, adapt=True))


def test_both_tricks_go_together(pliable: ModelSpec, serve_model: MakeServer) -> None:
    server = serve_model(replace(pliable, smooth=True))
    process = server._serving
    assert process is not None
    frames = np.kron(np.indices((4, 4)).sum(0) % 2, np.ones((24, 32))).astype(np.uint8)[None, :, :, None].repeat(3, 3)
    red, green = np.repeat(220 * frames, 2, 0)  # chequered: a change of colour below is no cut
    red[72:], green[72:] = (0, 10, 200), (0, 120, 90)
    assert set(np.unique(server.infer(red, Moment("door", 1.0)).mask[80:])) == {0}
    assert set(np.unique(server.infer(green, Moment("door", 1.05)).mask[80:])) == {0}  # smoothed
    process._place.index = 0
    assert set(np.unique(server.infer(green, Moment("door", 1.1)).mask[80:])) == {1}  # another size, another past
    status = server.status()
    assert status.smoothed and status.sizes == {"48×64": 1, "72×96": 0, "96×128": 2}
