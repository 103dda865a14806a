from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from edgeseg_export.layers import find_layers
from edgeseg_export.quantize_ort import OrtQuantiser, Recipe, prepare, quantize_onnx
from edgeseg_export.sensitivity import Sensitivity, cache_key, cached_sensitivity, measure_sensitivity
from edgeseg_export.single_layer import read_rounding, round_one
from edgeseg_runtime.errors import ConfigError, ModelFileError
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.segmenter import Segmenter

PLAIN = Recipe("minmax")


@pytest.fixture(scope="module")
def int8(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "model.onnx"
    quantize_onnx(trained.onnx, path, trained.module, trained.calibration[:16], PLAIN)
    return path


@pytest.fixture(scope="module")
def frames(trained: Any) -> list[Image]:
    return [trained.reference.pictures[index].image for index in range(6)]


@pytest.fixture(scope="module")
def found(trained: Any, int8: Path, frames: list[Image]) -> Sensitivity:
    return measure_sensitivity(trained.onnx, int8, frames)


def masks(file: Path, frames: list[Image]) -> list[Any]:
    segmenter = Segmenter.load(file)
    size = segmenter.contract.size
    lane = segmenter.lane()
    return [lane.decode(lane.infer(lane.preprocess(frame)), *size).mask for frame in frames]


class TestMeasured:
    def test_every_int8_layer_has_a_row_in_order(self, found: Sensitivity, trained: Any) -> None:
        layers = find_layers(prepare(trained.onnx, equalised=False))
        convolutions = {layer.name for layer in layers if layer.kind.endswith("conv")}
        assert set(found.ranking) >= convolutions - {"net.5"}  # the last stays in float
        assert [row.disagreement for row in found.rows] == sorted(
            (row.disagreement for row in found.rows), reverse=True
        )
        assert all(0 <= row.disagreement <= row.worst <= 1 for row in found.rows)
        assert all(row.sqnr_db is not None and row.sqnr_db > 10 for row in found.rows)

    def test_a_layer_costs_what_a_file_with_only_it_in_int8_costs(
        self, found: Sensitivity, trained: Any, frames: list[Image], tmp_path: Path
    ) -> None:
        """The same by another route: ONNX Runtime's own tool, told to leave every other layer in float."""
        quantiser = OrtQuantiser(trained.onnx, trained.module, trained.calibration[:16])
        reference = masks(trained.onnx, frames)
        layers = {layer.name: layer for layer in quantiser.layers}
        for name in found.ranking[:2]:
            path = tmp_path / "one.onnx"
            quantiser.write(path, PLAIN, [other for other in layers if other != name])
            expected = np.mean([(a != b).mean() for a, b in zip(reference, masks(path, frames), strict=True)])
            row = next(row for row in found.rows if row.name == name)
            assert row.disagreement == pytest.approx(expected, abs=2e-4), name

    def test_a_coarse_layer_is_found(self, trained: Any, int8: Path, frames: list[Image], tmp_path: Path) -> None:
        """One convolution's weights rounded to a few steps must be the most sensitive."""
        model = onnx.load(int8)
        constants = {item.name: item for item in model.graph.initializer}
        kernel = next(
            name for name in constants if name.endswith("_quantized") and "net.2" in name and "bias" not in name
        )
        values = numpy_helper.to_array(constants[kernel])
        coarse = (np.rint(values / 64.0) * 64).clip(-127, 127).astype(np.int8)
        constants[kernel].CopyFrom(numpy_helper.from_array(coarse, kernel))
        path = tmp_path / "model.onnx"
        onnx.save(model, path)
        worst = measure_sensitivity(trained.onnx, path, frames[:2]).rows[0]
        assert f"{worst.name}.weight_quantized" == kernel
        assert worst.disagreement > 0.01

    def test_equalised_files_are_held_against_the_equalised_net(
        self, trained: Any, frames: list[Image], tmp_path: Path
    ) -> None:
        path = tmp_path / "model.onnx"
        quantize_onnx(trained.onnx, path, trained.module, trained.calibration[:16], Recipe("percentile", True, True))
        rows = measure_sensitivity(trained.onnx, path, frames[:2]).rows
        assert max(row.disagreement for row in rows) < 0.05
        assert json.loads(measure_sensitivity(trained.onnx, path, frames[:1]).recipe)["recipe"]["equalised"] is True


class TestRounding:
    def test_weights_are_what_the_definition_says(self, int8: Path, trained: Any) -> None:
        """DequantizeLinear, as ONNX defines it: (x - zero point) · scale, a scale for each output channel."""
        base = prepare(trained.onnx, equalised=False)
        original = {item.name: numpy_helper.to_array(item) for item in base.graph.initializer}
        rounding = read_rounding(onnx.load(int8), base)
        assert rounding.weights
        for name, held in rounding.weights.items():
            assert (held.values.dtype.name, held.axis, held.scale.shape) == ("int8", 0, original[name].shape[:1])
            assert not held.zero_point.any()
            weight = held.values.astype(np.float32) * held.scale.astype(np.float32)[:, None, None, None]
            step = np.abs(original[name]).max(axis=(1, 2, 3), keepdims=True) / 127
            assert np.all(np.abs(weight - original[name]) <= step / 2 + 1e-6)
            assert not np.array_equal(weight, original[name])

    def test_all_layers_but_one_are_untouched(self, int8: Path, trained: Any) -> None:
        base = prepare(trained.onnx, equalised=False)
        layer = find_layers(base)[-2]
        variant = round_one(base, read_rounding(onnx.load(int8), base), layer)
        assert variant is not None
        onnx.checker.check_model(variant)
        before = {item.name: item.SerializeToString() for item in base.graph.initializer}
        after = {item.name: item.SerializeToString() for item in variant.graph.initializer}
        assert len(before.keys() - after.keys()) == 1  # the layer's own float weights
        assert all(after[name] == value for name, value in before.items() if name in after)
        onnxruntime.InferenceSession(variant.SerializeToString(), providers=["CPUExecutionProvider"])


class TestCache:
    def test_it_measures_once(self, trained: Any, int8: Path, frames: list[Image], tmp_path: Path) -> None:
        first, path = cached_sensitivity(tmp_path, trained.onnx, int8, frames[:1])
        written = path.stat().st_mtime_ns
        labels: list[str] = []

        def watch(items: Any, label: str, total: int | None = None) -> Any:
            labels.append(label)
            return items

        again, same = cached_sensitivity(tmp_path, trained.onnx, int8, frames[:1], watch)
        assert (again, same, path.stat().st_mtime_ns, labels) == (first, path, written, [])
        assert Sensitivity.from_dict(json.loads(path.read_text(encoding="utf-8"))) == first
        for damage in ("{", "[]", '{"pictures": 1}'):
            path.write_text(damage, encoding="utf-8")
            assert cached_sensitivity(tmp_path, trained.onnx, int8, frames[:1])[0] == first

    def test_the_key_hangs_on_files_and_pixels(self, trained: Any, int8: Path, frames: list[Image]) -> None:
        other = [frames[0].copy()]
        other[0][0, 0, 0] ^= 1
        keys = [
            cache_key(trained.onnx, int8, frames[:1]),
            cache_key(trained.onnx, int8, frames[:2]),
            cache_key(trained.onnx, int8, other),
            cache_key(trained.onnx, trained.onnx, frames[:1]),
        ]
        assert len(set(keys)) == 4


class TestRefusal:
    def test_no_pictures(self, trained: Any, int8: Path) -> None:
        with pytest.raises(ConfigError, match="at least one"):
            measure_sensitivity(trained.onnx, int8, [])

    def test_a_float_file_for_int8(self, trained: Any, frames: list[Image]) -> None:
        with pytest.raises(ModelFileError, match="does not say how it was quantised"):
            measure_sensitivity(trained.onnx, trained.onnx, frames)

    def test_files_of_two_networks(self, trained: Any, int8: Path, frames: list[Image], tmp_path: Path) -> None:
        model = onnx.load(trained.onnx)
        for item in model.graph.initializer:
            if item.name.endswith(".weight"):
                for node in model.graph.node:
                    node.input[:] = [f"other.{name}" if name == item.name else name for name in node.input]
                item.name = f"other.{item.name}"
        onnx.save(model, tmp_path / "model.onnx")
        with pytest.raises(ModelFileError, match="the float file has no weights 'net"):
            measure_sensitivity(tmp_path / "model.onnx", int8, frames)
