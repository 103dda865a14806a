"""Fake quantisation against ONNX's QuantizeLinear → DequantizeLinear, and its gradients against a sum done by hand."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from onnx import ModelProto, TensorProto, helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

from edgeseg_export.fake_quantize import MIN_SCALE, ActivationQuantizer, QuantConv2d

Floats = npt.NDArray[np.float32]
BOUNDS = st.floats(-1e4, 1e4, width=32) | st.floats(-(2.0**100), 2.0**100, width=32)
VALUES = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=4, max_side=5),
    elements=st.floats(-8, 8, width=32) | st.floats(-(2.0**120), 2.0**120, width=32),
)


def quantise_dequantise(kind: int, axis: int | None = None) -> ModelProto:
    """Return x (float), scale, zero point → the values after QuantizeLinear and DequantizeLinear."""
    options: dict[str, Any] = {} if axis is None else {"axis": axis}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], **options),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], **options),
    ]
    shape = [] if axis is None else [None]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
        helper.make_tensor_value_info("scale", TensorProto.FLOAT, shape),
        helper.make_tensor_value_info("zero", kind, shape),
    ]
    outputs = [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
        helper.make_tensor_value_info("q", kind, None),
    ]
    graph = helper.make_graph(nodes, "qdq", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


ACTIVATIONS = ReferenceEvaluator(quantise_dequantise(TensorProto.UINT8))
WEIGHTS = ReferenceEvaluator(quantise_dequantise(TensorProto.INT8, axis=0))


def feed(quantizer: ActivationQuantizer, values: Floats) -> dict[str, npt.NDArray[Any]]:
    scale, zero_point = quantizer.grid()
    assert scale.dtype == torch.float32 and zero_point.dtype == torch.int32
    assert scale.shape == zero_point.shape == ()
    return {"x": values, "scale": scale.numpy(), "zero": np.array(int(zero_point), np.uint8)}


def run(reference: ReferenceEvaluator, values: dict[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    return [np.asarray(array) for array in reference.run(None, values)]


def rounded(quantizer: ActivationQuantizer, values: Floats) -> Floats:
    with torch.no_grad():
        found: Floats = quantizer(torch.from_numpy(values)).numpy()
    return found


@given(VALUES, BOUNDS, BOUNDS)
def test_equals_onnxs_definition(values: Floats, low: float, high: float) -> None:
    quantizer = ActivationQuantizer(min(low, high), max(low, high))
    limit = 2.0**30 * float(quantizer.grid()[0])  # the reference counts steps in int32
    values = values.clip(-limit, limit).astype(np.float32)
    expected = run(ACTIVATIONS, feed(quantizer, values))[0]
    np.testing.assert_array_equal(rounded(quantizer, values), expected)


@pytest.mark.parametrize(
    ("low", "high"), [(-1.0, 2.0), (0.0, 6.0), (3.0, 5.0), (-7.0, -2.0), (-1e30, 1e30), (0.0, 0.0), (0.0, 1e-9)]
)
def test_equals_onnx_runtime(low: float, high: float) -> None:
    session = onnxruntime.InferenceSession(
        quantise_dequantise(TensorProto.UINT8).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    quantizer = ActivationQuantizer(low, high)
    generator = np.random.default_rng(0)
    width = max(abs(low), abs(high), 1.0)
    values = (generator.standard_normal((4, 3, 50, 50)) * width).astype(np.float32)
    np.testing.assert_array_equal(rounded(quantizer, values), session.run(["y"], feed(quantizer, values))[0])


@given(BOUNDS, BOUNDS)
def test_zero_is_always_a_level(low: float, high: float) -> None:
    quantizer = ActivationQuantizer(min(low, high), max(low, high))
    assert rounded(quantizer, np.zeros((1, 3), np.float32)).tolist() == [[0, 0, 0]]


@given(st.floats(-100, 0, width=32), st.floats(0, 100, width=32), st.floats(0, 1))
def test_values_within_the_range_move_by_half_a_step_at_most(low: float, high: float, place: float) -> None:
    quantizer = ActivationQuantizer(low, high)
    scale = float(quantizer.grid()[0])
    value = np.array([[low + (high - low) * place]], np.float32)
    # the zero point is rounded too, which moves the whole range by up to half a step more
    assert abs(float(rounded(quantizer, value)[0, 0] - value[0, 0])) <= scale * (1 + 1e-4)


def test_what_is_not_finite_shows() -> None:
    quantizer = ActivationQuantizer(-1.0, 1.0)
    found = rounded(quantizer, np.array([[np.nan, np.inf, -np.inf]], np.float32))[0]
    ends = rounded(quantizer, np.array([[9, -9]], np.float32))[0]
    assert np.isnan(found[0]) and found[1:].tolist() == ends.tolist()


def test_rounds_in_float32_whatever_surrounds_it() -> None:
    quantizer, values = ActivationQuantizer(-1.0, 1.0), torch.linspace(-1, 1, 300).reshape(1, -1)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(quantizer(values), quantizer(values.clone()))
        assert quantizer(values).dtype == torch.float32
    assert quantizer(values.bfloat16()).dtype == torch.float32


def gradients(quantizer: ActivationQuantizer, values: list[float], weights: list[float]) -> Tensor:
    """Return d(Σ weight · y)/dx."""
    x = torch.tensor([values], requires_grad=True)
    (quantizer(x) * torch.tensor([weights])).sum().backward()
    assert x.grad is not None
    return x.grad[0]


def test_gradients_by_hand() -> None:
    quantizer = ActivationQuantizer(-1.28, 1.27)  # steps of .01, zero at level 128
    #                                    inside: -.004, above, below,  inside: +.003
    to_values = gradients(quantizer, [0.004, 2.0, -3.0, 0.017], [1.0, 2.0, 3.0, 4.0])
    assert to_values.tolist() == [1.0, 0.0, 0.0, 4.0]
    assert quantizer.low.grad is not None and quantizer.high.grad is not None
    inside = (-0.004 * 1 + 0.003 * 4) / 2.55
    assert float(quantizer.high.grad) == pytest.approx(2 + inside, abs=1e-5)
    assert float(quantizer.low.grad) == pytest.approx(3 - inside, abs=1e-5)


def test_the_gradient_of_a_bound_is_the_change_of_the_clipped_values() -> None:
    values, step = [5.0, -5.0, 9.0], 0.51  # two levels of a range of 65.28
    quantizer = ActivationQuantizer(-1.28, 1.27)
    gradients(quantizer, values, [1.0, 1.0, 1.0])
    with torch.no_grad():
        before = quantizer(torch.tensor([values])).sum()
        quantizer.high.add_(step)
        change = quantizer(torch.tensor([values])).sum() - before
    assert quantizer.high.grad is not None
    assert float(quantizer.high.grad) == pytest.approx(float(change) / step, abs=0.05)


@pytest.mark.parametrize(("low", "high"), [(0.0, 2.0), (-2.0, 0.0), (0.5, 2.0)])
def test_a_bound_at_zero_stays_there(low: float, high: float) -> None:
    quantizer = ActivationQuantizer(low, high)
    gradients(quantizer, [-3.0, 0.3, 3.0], [1.0, 1.0, 1.0])
    assert quantizer.low.grad is not None and quantizer.high.grad is not None
    assert bool(quantizer.low.grad != 0) == (low < 0)
    assert bool(quantizer.high.grad != 0) == (high > 0)


def test_shows_its_range() -> None:
    assert repr(ActivationQuantizer(-1, 2.5, fixed=True)) == "ActivationQuantizer(-1..2.5, fixed)"


def test_a_fixed_quantiser_learns_nothing_and_passes_gradients_on() -> None:
    quantizer = ActivationQuantizer(-1.0, 1.0, fixed=True)
    assert gradients(quantizer, [0.5, 4.0], [1.0, 1.0]).tolist() == [1.0, 0.0]
    assert quantizer.low.grad is None and quantizer.high.grad is None


@pytest.mark.parametrize("start", [0.3, 60.0])
def test_bounds_learn_the_range_that_rounds_best(start: float) -> None:
    values = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    quantizer = ActivationQuantizer(-start, start)
    optimiser = torch.optim.Adam(quantizer.parameters(), lr=0.3)
    for _ in range(300):
        loss = (quantizer(values) - values).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    # with 256 levels the least squares range of a normal distribution ends at about four deviations
    assert 3 < -quantizer.low.item() < 6 and 3 < quantizer.high.item() < 6


def test_while_ranges_are_measured_values_pass_unchanged() -> None:
    quantizer = ActivationQuantizer(-0.1, 0.1)
    seen: list[Tensor] = []
    quantizer.observer = seen.append
    values = torch.randn(2, 3, 4, 4)
    assert torch.equal(quantizer(values), values)
    assert torch.equal(seen[0], values)


@given(arrays(np.float32, (4, 2, 3, 3), elements=st.floats(-50, 50, width=32)))
def test_weights_equal_onnxs_definition_with_a_scale_an_output(weight: Floats) -> None:
    weight[2] = 0  # a channel may be dead
    conv = QuantConv2d(2, 4, 3)
    with torch.no_grad():
        conv.weight.copy_(torch.from_numpy(weight))
    scale = conv.weight_grid()
    assert scale.shape == (4,) and float(scale[2]) == np.float32(MIN_SCALE)
    expected, levels = run(WEIGHTS, {"x": weight, "scale": scale.numpy(), "zero": np.zeros(4, np.int8)})
    np.testing.assert_array_equal(conv.rounded_weight().detach().numpy(), expected)
    assert levels.min() >= -127
    largest = np.abs(weight).reshape(4, -1).max(axis=1)
    used = largest > 127 * MIN_SCALE
    assert (np.abs(levels).reshape(4, -1).max(axis=1)[used] == 127).all()


def test_a_quantised_convolution_is_one_with_rounded_weights() -> None:
    torch.manual_seed(0)
    conv = QuantConv2d(4, 6, 3, padding=1, groups=2)
    values = torch.randn(2, 4, 7, 9)
    plain = conv.rounded_weight().detach().requires_grad_()
    expected = F.conv2d(values, plain, conv.bias, padding=1, groups=2)
    assert torch.equal(conv(values), expected)
    assert not torch.equal(expected, F.conv2d(values, conv.weight, conv.bias, padding=1, groups=2))
    conv(values).square().sum().backward()
    expected.square().sum().backward()  # type: ignore[no-untyped-call]
    assert conv.weight.grad is not None and plain.grad is not None
    torch.testing.assert_close(conv.weight.grad, plain.grad)


def test_scales_move_with_the_weights() -> None:
    conv = QuantConv2d(3, 5, 1)
    before = conv.weight_grid()
    with torch.no_grad():
        conv.weight[1] *= 3
    ratio = conv.weight_grid() / before
    torch.testing.assert_close(ratio, torch.tensor([1.0, 3.0, 1.0, 1.0, 1.0]))


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 8, (3, 5), stride=(2, 1), padding=(1, 2), bias=False),
        nn.Conv2d(4, 8, 3, padding="same", dilation=2, groups=4),
        nn.Conv2d(4, 8, 3, padding=1, padding_mode="reflect").eval(),
    ],
)
def test_of_takes_over_every_setting_and_copies_the_weights(conv: nn.Conv2d) -> None:
    made = QuantConv2d.of(conv)
    assert made.training == conv.training
    values = torch.randn(2, 4, 12, 12)
    twin = deepcopy(conv)
    with torch.no_grad():
        twin.weight.copy_(made.rounded_weight())
    assert torch.equal(made(values), twin(values))
    with torch.no_grad():
        made.weight.zero_()
    assert conv.weight.any()
