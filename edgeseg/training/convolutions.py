"""Gradients of convolutions that processors compute wrongly or slowly in bf16.

PyTorch leaves them to oneDNN (its 3.13.3 in PyTorch 2.15, on a processor with avx512_bf16). There

- the gradient of a dilated convolution's weight is wrong in bf16: it is made of memory that was never written, and the
  values, anything from nearly right to 1e36, differ from call to call. In float32 it is right;
- a depthwise convolution's gradients take 20 to 100 times as long as the convolution where the kernel is larger than
  3×3 or the stride is not 1: most of a step of MobileNetV3. The gradient of its input, though, is one more depthwise
  convolution, and those are quick: of the output's gradient, with the kernel turned by half a turn (Dumoulin and
  Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285, chapter 4). That of a large kernel
  takes a third of the time in float32, and in float32 a stride costs nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

QUICK_KERNEL = 3
"""Largest side of a depthwise kernel whose gradient is quick in bf16."""


def mend_convolutions(net: nn.Module) -> None:
    """Let the convolutions of `net` that need it learn by gradients of this module's, on processors.

    Weights, their names, and what the network computes stay as they are. Layers that round as int8 are left alone:
    they learn in float32.
    """
    for module in net.modules():
        if type(module) is nn.Conv2d and _needs_it(module):
            module.__class__ = MendedConv2d


def _needs_it(conv: nn.Conv2d) -> bool:
    if conv.padding_mode != "zeros" or isinstance(conv.padding, str):
        return False
    depthwise = conv.in_channels == conv.out_channels == conv.groups > 1
    return conv.dilation != (1, 1) or (depthwise and (max(conv.kernel_size) > QUICK_KERNEL or conv.stride != (1, 1)))


class _Geometry(NamedTuple):
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


class MendedConv2d(nn.Conv2d):
    """A convolution with gradients of its own; where nothing is learnt, what `nn.Conv2d` is."""

    def forward(self, input: Tensor) -> Tensor:
        """Convolve float (N, C, H, W) values, in the arithmetic that autocast says."""
        if not (self.training and torch.is_grad_enabled()):
            return super().forward(input)
        kind = input.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else input.dtype
        bias = None if self.bias is None else self.bias.to(dtype)
        assert not isinstance(self.padding, str)
        geometry = _Geometry(self.stride, self.padding, self.dilation, self.groups)
        result: Tensor = _Convolution.apply(input.to(dtype), self.weight.to(dtype), bias, geometry)
        return result


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor | None, geometry: _Geometry) -> Tensor:
        ctx.save_for_backward(values, weight)
        ctx.geometry = geometry
        return F.conv2d(values, weight, bias, *geometry)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        values, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        return (
            _values_gradient(grad, values, weight, ctx.geometry) if wanted[0] else None,
            _weight_gradient(grad, values, weight, ctx.geometry) if wanted[1] else None,
            grad.sum((0, 2, 3)) if wanted[2] else None,
            None,
        )


def _values_gradient(grad: Tensor, values: Tensor, weight: Tensor, geometry: _Geometry) -> Tensor:
    stride, padding, dilation, groups = geometry
    reach = [step * (side - 1) for step, side in zip(dilation, weight.shape[2:], strict=True)]
    around = [most - edge for most, edge in zip(reach, padding, strict=True)]
    depthwise = groups == len(weight) == values.shape[1]
    quick = stride != (1, 1) and weight.dtype != torch.bfloat16
    if not depthwise or quick or min(around) < 0:
        return _gradients(grad, values, weight, geometry, (True, False, False))[0]
    if stride != (1, 1):  # as if all outputs that it leaves out had been computed, but counted for nothing
        high, wide = (side + 2 * edge - most for side, edge, most in zip(values.shape[2:], padding, reach, strict=True))
        size = (*grad.shape[:2], high, wide)
        spread = torch.empty(size, dtype=grad.dtype, memory_format=torch.channels_last).zero_()
        spread[:, :, :: stride[0], :: stride[1]] = grad
        grad = spread
    return F.conv2d(grad, weight.flip(2, 3), None, 1, around, dilation, groups)


def _weight_gradient(grad: Tensor, values: Tensor, weight: Tensor, geometry: _Geometry) -> Tensor:
    in_float = geometry.dilation != (1, 1) or max(weight.shape[2:]) > QUICK_KERNEL
    dtype = torch.promote_types(weight.dtype, torch.float32) if in_float else weight.dtype
    found = _gradients(grad.to(dtype), values.to(dtype), weight.to(dtype), geometry, (False, True, False))[1]
    return found.to(weight.dtype)


def _gradients(
    grad: Tensor, values: Tensor, weight: Tensor, geometry: _Geometry, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Leave it to PyTorch; what is not wanted comes undefined."""
    stride, padding, dilation, groups = geometry
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        grad, values, weight, None, stride, padding, dilation, False, (0, 0), groups, wanted
    )
    return found
