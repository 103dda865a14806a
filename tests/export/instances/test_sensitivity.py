"""Layers of instance models ranked by what int8 in one of them does to the objects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import numpy_helper

from edgeseg_export.instances.parity.matching import match
from edgeseg_export.instances.parity.objects import Seen
from edgeseg_export.instances.parity.paths import measured_path
from edgeseg_export.layers import find_layers
from edgeseg_export.likeness import Objects
from edgeseg_export.quantize_ort import OrtQuantiser, Recipe, prepare
from edgeseg_export.sensitivity import Sensitivity, measure_sensitivity
from edgeseg_export.single_layer import read_rounding, round_one
from edgeseg_runtime.contract import OUTPUTS
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.segmenter import Segmenter
from tests.export.instances.conftest import TrainedInstances

PLAIN = Recipe("minmax")


@pytest.fixture(scope="module")
def quantiser(things: TrainedInstances) -> OrtQuantiser:
    return OrtQuantiser(things.onnx, things.module, things.calibration[:16])


@pytest.fixture(scope="module")
def int8(quantiser: OrtQuantiser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "model.onnx"
    quantiser.write(path, PLAIN)
    return path


@pytest.fixture(scope="module")
def frames(things: TrainedInstances) -> list[Image]:
    return [picture.image for picture in things.pictures[:6]]


@pytest.fixture(scope="module")
def found(things: TrainedInstances, int8: Path, frames: list[Image]) -> Sensitivity:
    return measure_sensitivity(things.onnx, int8, frames)


def objects(file: Path, frames: Sequence[Image]) -> list[Seen]:
    path = measured_path(Segmenter.load(file))
    return [path(frame) for frame in frames]


def test_every_int8_layer_has_a_row_in_order(found: Sensitivity, things: TrainedInstances) -> None:
    shares = [row.disagreement for row in found.rows]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0
    assert all(0 <= row.disagreement <= row.worst <= 1 for row in found.rows)
    layers = find_layers(prepare(things.onnx, equalised=False))
    assert set(found.ranking) >= {layer.name for layer in layers if layer.kind.endswith("conv")}


def test_a_layer_costs_what_a_file_with_only_it_in_int8_costs(
    found: Sensitivity, things: TrainedInstances, quantiser: OrtQuantiser, frames: list[Image], tmp_path: Path
) -> None:
    """The same by another route: ONNX Runtime's own tool, told to leave every other layer in float."""
    reference = objects(things.onnx, frames)  # the frames have the model's size
    for name in found.ranking[:2]:
        quantiser.write(tmp_path / "one.onnx", PLAIN, [layer.name for layer in quantiser.layers if layer.name != name])
        pairs = zip(reference, objects(tmp_path / "one.onnx", frames), strict=True)
        expected = [1 - match(mine, theirs).agreement for mine, theirs in pairs]
        row = next(row for row in found.rows if row.name == name)
        assert row.disagreement == pytest.approx(np.mean(expected), abs=2e-3), name
        assert row.worst == pytest.approx(max(expected), abs=5e-3)


def test_a_coarse_layer_is_found(things: TrainedInstances, int8: Path, frames: list[Image], tmp_path: Path) -> None:
    """One convolution's weights rounded to a few steps must be the most sensitive."""
    model = onnx.load(int8)
    constants = {item.name: item for item in model.graph.initializer}
    kernel = next(name for name in constants if name.startswith("net.coarse.2.0.weight") and "quantized" in name)
    values = numpy_helper.to_array(constants[kernel])
    coarse = (np.rint(values / 64.0) * 64).clip(-127, 127).astype(np.int8)
    constants[kernel].CopyFrom(numpy_helper.from_array(coarse, kernel))
    onnx.save(model, tmp_path / "model.onnx")
    worst = measure_sensitivity(things.onnx, tmp_path / "model.onnx", frames[:2]).rows[0]
    assert f"{worst.name}.weight_quantized" == kernel
    assert worst.disagreement > 0.05


def test_the_error_in_db_is_that_of_the_class_scores(
    found: Sensitivity, things: TrainedInstances, int8: Path, frames: list[Image], tmp_path: Path
) -> None:
    base = prepare(things.onnx, equalised=False)
    layer = next(layer for layer in find_layers(base) if layer.name == found.ranking[0])
    variant = round_one(base, read_rounding(onnx.load(int8), base), layer)
    assert variant is not None
    onnx.save(variant, tmp_path / "one.onnx")
    mine, theirs = (scores(file, frames) for file in (things.onnx, tmp_path / "one.onnx"))
    expected = 10 * np.log10((mine**2).sum() / ((mine - theirs) ** 2).sum())
    assert found.rows[0].sqnr_db == pytest.approx(expected, abs=1e-3)


def scores(file: Path, frames: Sequence[Image]) -> npt.NDArray[np.float64]:
    lane = Segmenter.load(file).lane()
    place = OUTPUTS["prototypes"].index("scores")
    return np.stack([lane.infer(lane.preprocess(frame))[place].astype(np.float64) for frame in frames])


def test_one_picture_is_as_unlike_as_its_share_says(things: TrainedInstances, int8: Path, frames: list[Image]) -> None:
    alike = Objects()
    for mine, theirs in zip(objects(things.onnx, frames), objects(int8, frames), strict=True):
        assert alike.unlike(mine, theirs) == pytest.approx(1 - alike.share([mine], [theirs]))
        assert alike.unlike(mine, mine) == 0
