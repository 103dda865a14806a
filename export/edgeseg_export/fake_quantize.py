"""Layers that compute in float what an int8 engine will: fake quantisation for training.

Activations are uint8 with one scale and zero point a tensor, weights int8 with one scale an output channel, both as
ONNX's QuantizeLinear followed by DequantizeLinear: round half to even, saturate.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018,
arXiv:1712.05877. Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference", arXiv:1806.08342.

The rounding is written out in plain tensor operations: `torch.fake_quantize_per_tensor_affine` multiplies by 1 / scale
where ONNX divides, turns NaN into a number, and took four times as long on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

LEVELS = 255
"""Steps of an activation: uint8 has 256 values."""
WEIGHT_LEVELS = 127
"""Largest int8 weight; -128 is left out, so that a weight and its negative are equally near a level."""
MIN_SCALE = 1e-6
"""Scale of a tensor of zeros. Were it smaller, an int32 bias in steps of input scale × weight scale would overflow."""


def uint8_grid(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Return (scale float32, zero point int32 in 0..255), both 0-d, of the range that 0-d `low` and `high` bound.

    The range is widened to hold zero, which then lies exactly on a level: padding and ReLU put it everywhere.
    """
    low, high = low.float().clamp(max=0), high.float().clamp(min=0)
    scale = ((high - low) / LEVELS).clamp(min=MIN_SCALE)
    zero_point = (-low / scale).round().clamp(0, LEVELS).to(torch.int32)
    return scale, zero_point


def round_to_grid(values: Tensor, scale: Tensor, zero_point: Tensor | int, lowest: int, highest: int) -> Tensor:
    """Return DequantizeLinear(QuantizeLinear(values)) for the levels `lowest`..`highest`; NaN stays NaN."""
    return (values / scale).round_().add_(zero_point).clamp_(lowest, highest).sub_(zero_point).mul_(scale)


class _RoundActivation(torch.autograd.Function):
    """Round (N, …) float32 values to a learnt grid.

    Backward, with y the rounded x: inside the range dy/dx = 1 (straight through), dy/dhigh = -dy/dlow =
    (y - x) / (high - low) (LSQ, Esser et al., arXiv:1902.08153; with an offset LSQ+, Bhalgat et al., arXiv:2004.09576);
    outside it dy/dx = 0 and dy/d(bound clipped to) = 1 (PACT, Choi et al., arXiv:1805.06085). A bound at zero, as below
    a ReLU, stays there. LSQ's factor 1 / √(values × 255) is left out: the loss is a mean over pixels already, and the
    bounds' gradients would fall below Adam's ε.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, low: Tensor, high: Tensor) -> Tensor:
        scale, zero_point = uint8_grid(low, high)
        rounded = round_to_grid(values, scale, zero_point, 0, LEVELS)
        ctx.save_for_backward(values, rounded, scale, low, high)
        return rounded

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        # In place and with masks of floats: on a CPU new tensors and masks of booleans take most of the time.
        grad = grads[0]
        values, rounded, scale, low, high = ctx.saved_tensors
        error = rounded - values
        # inside, a value is half a step from its level at most, but for float32's own rounding
        passed = error.abs().le_(0.501 * scale).mul_(grad)
        if not any(ctx.needs_input_grad[1:]):
            return passed, None, None
        work = error * passed
        inside = work.sum() / (LEVELS * scale)
        clipped = torch.sub(grad, passed, out=work).sum()
        below_minus_above = work.mul_(error.sign_()).sum()
        to_low, to_high = (clipped + below_minus_above) / 2 - inside, (clipped - below_minus_above) / 2 + inside
        return passed, to_low * (low < 0), to_high * (high > 0)


class ActivationQuantizer(nn.Module):
    """Rounds a tensor to 256 levels between two learnt bounds, zero always one of them."""

    def __init__(self, low: float = -1.0, high: float = 1.0, *, fixed: bool = False) -> None:
        super().__init__()
        self.low = nn.Parameter(torch.tensor(low, dtype=torch.float32), requires_grad=not fixed)
        self.high = nn.Parameter(torch.tensor(high, dtype=torch.float32), requires_grad=not fixed)
        self.fixed = fixed
        """Whether the bounds are known beforehand, as those of the network's input: neither measured nor learnt."""
        self.observer: Callable[[Tensor], None] | None = None
        """Takes the (N, …) float32 values while ranges are measured; they then pass unchanged."""

    def grid(self) -> tuple[Tensor, Tensor]:
        """Return (scale float32, zero point int32 in 0..255), both 0-d, as ONNX's QuantizeLinear takes them."""
        low, high = self.bounds()
        return uint8_grid(low.detach(), high.detach())

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Return the 0-d ends of the range that values are rounded in."""
        return self.low, self.high

    def forward(self, values: Tensor) -> Tensor:
        """Round (N, …) values, in float32 whatever arithmetic surrounds it."""
        values = values.float()
        if self.observer is not None:
            self.observer(values)
            return values
        return cast(Tensor, _RoundActivation.apply(values, *self.bounds()))

    def extra_repr(self) -> str:
        """Show the range."""
        return f"{self.low.item():.4g}..{self.high.item():.4g}" + (", fixed" if self.fixed else "")


class _RoundWeight(torch.autograd.Function):
    """Round weights whose scale spans them all: nothing is clipped, and the gradient passes straight through."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, scale: Tensor) -> Tensor:  # noqa: ARG004 - torch's signature
        return round_to_grid(weight, scale, 0, -WEIGHT_LEVELS, WEIGHT_LEVELS)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004 - torch's signature
        return grads[0], None


class QuantConv2d(nn.Conv2d):
    """A convolution whose weights are rounded to -127..127 levels of each output channel's largest weight."""

    @classmethod
    def of(cls, conv: nn.Conv2d) -> QuantConv2d:
        """Return a quantised convolution with copies of the parameters of `conv`."""
        made = cls(
            conv.in_channels,
            conv.out_channels,
            cast(tuple[int, int], conv.kernel_size),
            cast(tuple[int, int], conv.stride),
            conv.padding if isinstance(conv.padding, str) else cast(tuple[int, int], conv.padding),
            cast(tuple[int, int], conv.dilation),
            conv.groups,
            conv.bias is not None,
            conv.padding_mode,
            device=conv.weight.device,
            dtype=conv.weight.dtype,
        )
        made.load_state_dict(conv.state_dict())
        return made.train(conv.training)

    def weight_grid(self) -> Tensor:
        """Return the float32 (outputs,) scales of the weights as they are now."""
        largest = self.weight.detach().float().flatten(1).abs().amax(dim=1)
        return (largest / WEIGHT_LEVELS).clamp(min=MIN_SCALE)

    def rounded_weight(self) -> Tensor:
        """Return the float32 weights on their grid."""
        scale = self.weight_grid().reshape(-1, 1, 1, 1)
        return cast(Tensor, _RoundWeight.apply(self.weight.float(), scale))

    def rounded_bias(self) -> Tensor | None:
        """Return the bias as it is added: here as it is."""
        return self.bias

    def forward(self, input: Tensor) -> Tensor:
        """Convolve (N, inputs, H, W) with the rounded weights."""
        return cast(Tensor, self._conv_forward(input, self.rounded_weight(), self.rounded_bias()))
