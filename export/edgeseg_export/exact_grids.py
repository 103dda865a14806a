"""Grids on which int8 arithmetic leaves nothing to the engine, so that every engine draws the same mask.

A quantised network is chaotic: where the last bit of float32 decides how one value is rounded, the next convolution
spreads that step over its neighbourhood, and some thirty layers on a quarter of all values differ by a step. Two
faithful implementations of one QDQ graph drew 0.2 to 0.5 % of CamVid's pixels differently. On these grids every sum,
product and quotient before a rounding is a float32 number, and a tie between two levels is the same tie everywhere:

- scales of activations are powers of two,
- zero points are even: ONNX adds them after rounding, OpenVINO before it, and an odd one swaps the even levels,
- input scale × weight scale has few significant bits, and biases are whole multiples of it, as int32 biases are,
- averages and interpolations, whose factors are not float32 numbers, are moved off the ties (`OFF_TIES`).

Power-of-two scales that are trained: Jain et al., "Trained Quantization Thresholds for Accurate and Efficient
Fixed-Point Inference of Deep Neural Networks", MLSys 2020, arXiv:1903.08066.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgeseg_export.fake_quantize import LEVELS, MIN_SCALE, ActivationQuantizer, QuantConv2d

OFF_TIES = 1 + 2**-12
"""Factor for values that lie on ties which engines see differently: it moves them by 1/16 of a step at most."""
CLIPPED = 0.13
"""Largest share of a range that is cut off where the power of two below the scale is taken, not the one above."""
PRODUCT_BITS = 5
"""Significant bits of input scale × weight scale; rounding up to them costs at most 6 % of the weights' resolution."""


def exact_bounds(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Return the 0-d bounds of the grid for about the range between 0-d `low` and `high`, without gradients.

    What its power of two adds or cuts off is shared out so that zero stays at its place in the range.
    """
    low, high = low.detach().float().clamp(max=0), high.detach().float().clamp(min=0)
    width = (high - low).clamp(min=LEVELS * MIN_SCALE)
    scale = _power_of_two((1 - CLIPPED) * width / LEVELS)
    zero_point = 2 * (LEVELS / 2 * (-low / width)).round().clamp(max=LEVELS // 2)
    return -zero_point * scale, (LEVELS - zero_point) * scale


def _power_of_two(values: Tensor) -> Tensor:
    """Return the powers of two that are next above positive values."""
    power: Tensor = values / torch.frexp(values).mantissa
    return power


def few_bits(values: Tensor, bits: int) -> Tensor:
    """Round positive values up to numbers of `bits` significant bits."""
    fraction: Tensor = torch.frexp(values).mantissa
    return (fraction * 2.0**bits).ceil() / 2.0**bits * (values / fraction)


class ExactQuantizer(ActivationQuantizer):
    """A quantiser whose scale is a power of two and whose zero point is even, unless its range is fixed."""

    def __init__(
        self, low: float = -1.0, high: float = 1.0, *, fixed: bool = False, ceiling: float = float("inf")
    ) -> None:
        super().__init__(low, high, fixed=fixed)
        self.ceiling = ceiling
        """Where values are cut off while ranges are measured, for the ReLU6 that the range then stands for."""

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Return the bounds of the grid; gradients reach the learnt ones as if they were these."""
        if self.fixed:
            return super().bounds()
        low, high = exact_bounds(self.low, self.high)
        return low + (self.low - self.low.detach()), high + (self.high - self.high.detach())

    def forward(self, values: Tensor, factor: float = 1.0) -> Tensor:
        """Round (N, …) values times `factor`, which is 1 or `OFF_TIES`."""
        if self.observer is not None:
            return super().forward(values.clamp(max=self.ceiling))
        return super().forward(values.float() * factor if factor != 1 else values)


class ExactConv2d(QuantConv2d):
    """A quantised convolution whose products and sums are exact, its bias rounded as int8 engines store it."""

    sources: tuple[ActivationQuantizer, ...] = ()
    """The quantisers of its inputs, one where it is called once; in a tuple since they are no parts of this module."""

    def read_from(self, quantizer: ActivationQuantizer) -> None:
        """Say that this quantiser rounds an input of this convolution."""
        if not any(quantizer is known for known in self.sources):
            self.sources += (quantizer,)

    def input_scales(self) -> tuple[Tensor, Tensor]:
        """Return the finest and the coarsest scale of its inputs, 0-d; the same where it is called once."""
        scales = torch.stack([quantizer.grid()[0] for quantizer in self.sources])
        return scales.min(), scales.max()

    def product_scale(self) -> Tensor:
        """Return the (outputs,) scales of the sums of products: finest input scale × weight scale, of few bits."""
        return few_bits(super().weight_grid() * self.input_scales()[0], PRODUCT_BITS)

    def weight_grid(self) -> Tensor:
        """Return the float32 (outputs,) scales of the weights as they are now."""
        return self.product_scale() / self.input_scales()[0]

    def rounded_bias(self) -> Tensor | None:
        """Return the float32 bias on the grid of the sums; gradients pass straight through."""
        if self.bias is None:
            return None
        finest, coarsest = self.input_scales()
        step = self.product_scale() * (coarsest / finest)
        return (self.bias.detach().float() / step).round() * step + (self.bias - self.bias.detach())

    def forward(self, input: Tensor) -> Tensor:
        """Convolve (N, inputs, H, W).

        In whole numbers where no gradient is wanted: float32 sums them without rounding up to 2²⁴, which no sum reaches
        that lies in the output's range.
        """
        if torch.is_grad_enabled() or any(quantizer.observer is not None for quantizer in self.sources):
            return super().forward(input)
        levels = (input.float() / self.input_scales()[0]).round_()
        weights = (self.rounded_weight() / self.weight_grid().reshape(-1, 1, 1, 1)).round_()
        sums: Tensor = self._conv_forward(levels, weights, None)
        sums *= self.product_scale().reshape(-1, 1, 1)
        bias = self.rounded_bias()
        return sums if bias is None else sums.add_(bias.reshape(-1, 1, 1))
