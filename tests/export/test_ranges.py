from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from onnx import ModelProto

from edgeseg_export.onnx_file import INPUT
from edgeseg_export.quantize_ort import prepare
from edgeseg_export.ranges import BINS, PERCENTILE, Values, activations, measure_values
from edgeseg_runtime.preprocess import to_input


def values(samples: npt.NDArray[np.float64]) -> Values:
    counts, _ = np.histogram(samples, BINS, (samples.min(), samples.max()))
    return Values(float(samples.min()), float(samples.max()), counts.astype(np.float64), np.zeros(0))


@pytest.fixture(scope="module")
def prepared(trained: Any) -> ModelProto:
    return prepare(trained.onnx, equalised=False)


@pytest.fixture(scope="module")
def feeds(trained: Any) -> list[dict[str, npt.NDArray[np.uint8]]]:
    return [{INPUT: to_input(picture, trained.module.contract)[None]} for picture in trained.calibration[:5]]


class TestMeasured:
    def test_against_numpy_over_all_pictures(self, prepared: ModelProto, feeds: Any) -> None:
        names = activations(prepared)[1:8]
        found = measure_values(prepared, names, feeds)
        opened = ModelProto()
        opened.CopyFrom(prepared)
        opened.graph.output.extend(item for item in prepared.graph.value_info if item.name in names)
        session = onnxruntime.InferenceSession(opened.SerializeToString(), providers=["CPUExecutionProvider"])
        runs = [session.run(names, feed) for feed in feeds]
        for index, name in enumerate(names):
            array = np.concatenate([run[index] for run in runs])
            measured = found[name]
            assert (measured.low, measured.high) == pytest.approx((array.min(), array.max()), rel=1e-4, abs=1e-4)
            assert measured.counts.sum() == array.size  # none fell out at either edge
            expected, _ = np.histogram(array, BINS, (measured.low, measured.high))
            assert np.abs(measured.counts - expected).sum() <= 0.01 * array.size  # bin edges in float32
            np.testing.assert_allclose(measured.channel_means, array.mean((0, 2, 3)), rtol=1e-3, atol=1e-3)

    def test_a_constant_tensor_has_a_range_of_nothing(self, prepared: ModelProto, feeds: Any) -> None:
        name = activations(prepared)[0]
        blank = [{INPUT: np.zeros_like(feeds[0][INPUT])}]
        found = measure_values(prepared, [name], blank)[name]
        assert found.low == found.high
        for rule in ("minmax", "percentile", "entropy"):
            assert found.bounds(rule) == (found.low, found.high)


class TestRules:
    def test_minmax_is_everything(self) -> None:
        assert values(np.array([-3.0, 0, 1, 5])).bounds("minmax") == (-3, 5)

    def test_percentile_is_numpys(self) -> None:
        samples = np.random.default_rng(0).normal(size=400_000)
        low, high = values(samples).bounds("percentile")
        outside = (100 - PERCENTILE) / 2
        step = (samples.max() - samples.min()) / BINS
        assert (low, high) == pytest.approx(np.percentile(samples, [outside, 100 - outside]), abs=2 * step)

    def test_percentile_drops_a_lone_outlier(self) -> None:
        samples = np.append(np.random.default_rng(0).uniform(0, 1, 100_000), 50.0)
        assert values(samples).bounds("percentile")[1] < 1.1

    def test_entropy_keeps_a_flat_distribution_and_cuts_a_thin_tail(self) -> None:
        flat = values(np.random.default_rng(0).uniform(0, 1, 400_000)).bounds("entropy")
        assert flat[1] > 0.95
        tailed = np.append(np.random.default_rng(0).uniform(0, 1, 400_000), np.linspace(1, 4, 20))
        low, high = values(tailed).bounds("entropy")
        assert low == pytest.approx(0, abs=1e-4)
        assert high < 2

    def test_entropy_does_not_mind_how_many_values_a_relu_makes_zero(self) -> None:
        positive = np.abs(np.random.default_rng(0).normal(size=200_000))
        alone = values(np.append(positive, 0.0)).bounds("entropy")
        for zeros in (200_000, 2_000_000):
            assert values(np.append(positive, np.zeros(zeros))).bounds("entropy") == alone
        assert alone[1] > 2.5, "more than 98 % of them are kept"

    @pytest.mark.parametrize("rule", ["minmax", "percentile", "entropy"])
    def test_a_range_lies_in_the_full_range(self, rule: Any) -> None:
        for seed in range(5):
            rng = np.random.default_rng(seed)
            found = values(rng.normal(rng.normal(), 2, 5000).clip(0, None))
            low, high = found.bounds(rule)
            assert found.low <= low < high <= found.high + 1e-9
