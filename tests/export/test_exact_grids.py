"""That the grids are what they claim, and that arithmetic on them is exact."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from edgeseg_export.exact_grids import CLIPPED, OFF_TIES, ExactConv2d, ExactQuantizer, few_bits
from edgeseg_export.fake_quantize import LEVELS, WEIGHT_LEVELS

RANGES = st.tuples(st.floats(-100, 0, width=32), st.floats(0, 100, width=32)).filter(lambda ends: ends[1] - ends[0] > 1)


@given(RANGES)
def test_scales_are_powers_of_two_and_zero_points_even(ends: tuple[float, float]) -> None:
    scale, zero_point = ExactQuantizer(*ends).grid()
    assert np.frexp(float(scale))[0] == 0.5
    assert int(zero_point) % 2 == 0 and 0 <= int(zero_point) <= LEVELS


@given(RANGES)
def test_the_grid_spans_about_the_range(ends: tuple[float, float]) -> None:
    scale, zero_point = (float(value) for value in ExactQuantizer(*ends).grid())
    width = ends[1] - ends[0]
    assert (1 - CLIPPED) * width <= LEVELS * scale <= 2 * width
    # zero is at the same place of both, to the step that an even zero point may be off
    assert abs(zero_point / LEVELS + ends[0] / width) <= 1.01 / LEVELS


def test_a_range_from_zero_has_the_zero_point_zero() -> None:
    assert [int(ExactQuantizer(0, high).grid()[1]) for high in (0.0, 1e-9, 0.3, 6.0, 1e6)] == [0] * 5


def test_a_fixed_range_is_kept() -> None:
    scale, zero_point = ExactQuantizer(-2.0, 1.984375, fixed=True).grid()
    assert float(scale) == 2**-6 and int(zero_point) == 128
    assert float(ExactQuantizer(0.0, 3.0, fixed=True).grid()[0]) == pytest.approx(3 / 255)


def test_rounds_on_its_grid_and_teaches_the_bounds() -> None:
    quantizer = ExactQuantizer(-1.0, 5.0)
    scale, zero_point = quantizer.grid()
    values = torch.linspace(-9, 9, 1001).reshape(1, -1).requires_grad_()
    rounded = quantizer(values)
    expected = ((values / scale).round() + zero_point).clamp(0, 255).sub(zero_point) * scale
    assert torch.equal(rounded, expected)
    rounded.sum().backward()
    above, below = int((values / scale > 255.5 - zero_point).sum()), int((values / scale < -0.5 - zero_point).sum())
    assert quantizer.high.grad is not None and quantizer.low.grad is not None
    assert float(quantizer.high.grad) == pytest.approx(above, abs=1)
    assert float(quantizer.low.grad) == pytest.approx(below, abs=1)


def test_the_factor_moves_values_off_ties() -> None:
    quantizer = ExactQuantizer(0.0, 255.0)
    ties = torch.arange(0.5, 255, 1).reshape(1, -1)
    assert torch.equal(quantizer(ties, OFF_TIES), ties + 0.5)
    assert torch.equal(quantizer(ties), torch.from_numpy(np.rint(ties.numpy())))


def test_a_ceiling_holds_while_ranges_are_measured_and_not_after() -> None:
    seen: list[Tensor] = []
    quantizer = ExactQuantizer(0.0, 10.0, ceiling=6.0)
    quantizer.observer = seen.append
    values = torch.tensor([[-1.0, 5.0, 7.0]])
    assert quantizer(values).tolist() == seen[0].tolist() == [[-1.0, 5.0, 6.0]]
    quantizer.observer = None
    assert quantizer(values).tolist() == [[0.0, 5.0, 7.0]]


@given(st.lists(st.floats(2**-60, 2**60, width=32), min_size=1, max_size=20), st.integers(2, 8))
def test_few_bits_rounds_up_to_few_bits(values: list[float], bits: int) -> None:
    found = few_bits(torch.tensor(values), bits).double().numpy()
    ratio = found / np.array(values)
    assert (ratio >= 1).all() and (ratio <= 1 + 2.0 ** (1 - bits)).all()
    fraction = np.frexp(found)[0] * 2**bits
    assert (fraction == np.rint(fraction)).all()


def convolution(bias: bool = True, scale: float = 10.0) -> tuple[ExactConv2d, ExactQuantizer]:
    torch.manual_seed(0)
    conv, quantizer = ExactConv2d(24, 16, 3, padding=1, bias=bias), ExactQuantizer(-scale / 3, scale)
    conv.read_from(quantizer)
    return conv, quantizer


def test_levels_fit_and_lose_little_resolution() -> None:
    conv, quantizer = convolution()
    levels = conv.rounded_weight().detach() / conv.weight_grid().reshape(-1, 1, 1, 1)
    largest = levels.abs().amax(dim=(1, 2, 3))
    assert float(largest.max()) <= WEIGHT_LEVELS + 1e-3
    assert float(largest.min()) >= 0.93 * WEIGHT_LEVELS
    assert torch.equal(conv.product_scale(), conv.weight_grid() * quantizer.grid()[0])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("fixed", [True, False])
def test_sums_are_exact_in_any_order(bias: bool, fixed: bool) -> None:
    conv, quantizer = convolution(bias)
    if fixed:  # its scale is no power of two
        conv, quantizer = ExactConv2d(24, 16, 3, padding=1, bias=bias), ExactQuantizer(-1.9, 2.1, fixed=True)
        conv.read_from(quantizer)
    values = quantizer(3 * torch.randn(2, 24, 9, 11)).detach()
    with torch.no_grad():
        found = conv(values)
        order = torch.randperm(24)
        conv.weight.copy_(conv.weight[:, order])
        assert torch.equal(conv(values[:, order]), found)
        conv.weight.copy_(conv.weight[:, order.argsort()])
    scale = conv.product_scale().double()
    levels = (values.double() / quantizer.grid()[0]).round()
    weights = (conv.weight.double() / conv.weight_grid().double().reshape(-1, 1, 1, 1)).round()
    sums = F.conv2d(levels, weights, padding=1) * scale.reshape(-1, 1, 1)
    if conv.bias is not None:
        whole = (conv.bias.detach().double() / scale).round()
        assert float((whole * scale - conv.bias.detach()).abs().max()) <= float(scale.max()) / 2
        sums += (whole * scale).reshape(-1, 1, 1)
    assert torch.equal(found.double(), sums)
    torch.testing.assert_close(conv(values), found, rtol=1e-4, atol=1e-4)  # with gradients: the same but for rounding


def test_calibration_sees_values_that_are_on_no_grid() -> None:
    conv, quantizer = convolution()
    seen: list[Tensor] = []
    quantizer.observer = seen.append
    values = torch.randn(1, 24, 5, 5)
    with torch.no_grad():
        torch.testing.assert_close(
            conv(values), F.conv2d(values, conv.rounded_weight(), conv.rounded_bias(), padding=1)
        )


def test_a_convolution_that_is_called_twice_serves_both_grids() -> None:
    conv, fine = convolution()
    coarse = ExactQuantizer(0, 80.0)
    conv.read_from(coarse)
    conv.read_from(fine)
    assert len(conv.sources) == 2
    bias = conv.rounded_bias()
    assert bias is not None
    for quantizer in (fine, coarse):
        values = quantizer(20 * torch.rand(1, 24, 6, 6)).detach()
        scale = conv.weight_grid().double() * float(quantizer.grid()[0])
        assert torch.equal((bias.double() / scale).round() * scale, bias.double())
        with torch.no_grad():
            expected = F.conv2d(values.double(), conv.rounded_weight().double(), bias.double(), padding=1)
            assert torch.equal(conv(values).double(), expected)


def test_gradients_reach_weights_and_bias() -> None:
    conv, quantizer = convolution()
    values = quantizer(torch.randn(2, 24, 5, 5)).detach()
    conv(values).sum().backward()
    assert conv.bias is not None and conv.bias.grad is not None and conv.weight.grad is not None
    assert conv.bias.grad.tolist() == [50.0] * 16
    assert conv.weight.grad.any()
