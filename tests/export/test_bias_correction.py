from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn.functional import conv2d

from edgeseg_export.bias_correction import correct_biases, mean_shift, round_weights
from edgeseg_export.ranges import Values


@pytest.mark.parametrize(("groups", "inputs"), [(1, 6), (2, 3), (6, 1)])
def test_the_mean_is_that_of_the_float_convolution(groups: int, inputs: int) -> None:
    """Against torch's convolution without padding, where the formula is exact."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(12, inputs, 3, 3)).astype(np.float32)
    weight[:, :, 0] *= 40  # a wide range, so that rounding hurts
    bias = rng.normal(size=12).astype(np.float32)
    x = torch.from_numpy(rng.uniform(0, 5, (4, 6, 20, 20)).astype(np.float32))
    rounded = round_weights(weight)
    # constant planes: every window has the same mean
    x = x.mean((2, 3), keepdim=True).expand(4, 6, 20, 20)
    means = x.mean((0, 2, 3)).double().numpy()

    def mean(kernel: np.ndarray[tuple[int, ...], np.dtype[np.float32]], offset: object) -> object:
        given = torch.from_numpy(np.asarray(offset, np.float32))
        return conv2d(x, torch.from_numpy(kernel), given, groups=groups).mean((0, 2, 3)).numpy()

    corrected = bias - mean_shift(rounded - weight, means, groups)
    expected = np.asarray(mean(weight, bias))
    assert np.abs(np.asarray(mean(rounded, bias)) - expected).max() > 0.05
    np.testing.assert_allclose(np.asarray(mean(rounded, corrected)), expected, atol=2e-3)


def test_rounding_is_int8_symmetric_by_output_channel() -> None:
    weight = np.array([[[[-2.0, 1.0, 0.004]]], [[[0.0, 0.0, 0.0]]]], np.float32)
    np.testing.assert_allclose(round_weights(weight)[0, 0, 0], [-2, np.rint(63.5) * 2 / 127, 0], atol=1e-6)
    assert not round_weights(weight)[1].any()


def test_excluded_and_biasless_convolutions_are_left() -> None:
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(size=(2, 2, 1, 1)).astype(np.float32) for name in ("w1", "w2", "w3")}
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    constants += [numpy_helper.from_array(np.zeros(2, np.float32), name) for name in ("b1", "b2")]
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["y1"], "first"),
        helper.make_node("Conv", ["x", "w2", "b2"], ["y2"], "second"),
        helper.make_node("Conv", ["x", "w3"], ["y3"], "third"),
    ]
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 4, 4])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("y1", "y2", "y3")]
    model = helper.make_model(helper.make_graph(nodes, "net", [image], outputs, constants))
    measured = {"x": Values(0, 9, np.zeros(1), np.array([3.0, 7.0]))}
    assert correct_biases(model, measured, {"second"}) == 1
    biases = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    assert biases["b1"].any()
    assert not biases["b2"].any()
