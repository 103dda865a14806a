"""The frozen form of a network trained for int8: two operators that torch's exporter turns into ONNX's own.

Exported as they are, the roundings of `fake_quantize` would become a dozen float operations each, in which no engine
recognises int8, and the weights would be stored in float.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, TypeVar

import numpy as np
import torch
from onnx import numpy_helper
from onnxscript import opset20
from torch import Tensor, nn

from edgeseg_export.fake_quantize import LEVELS, ActivationQuantizer, QuantConv2d, round_to_grid

op: Any = opset20  # its annotations do not know tensors that are traced
ModuleT = TypeVar("ModuleT", bound=nn.Module)


@torch.library.custom_op("edgeseg::quantize_dequantize", mutates_args=())
def quantize_dequantize(values: Tensor, scale: float, zero_point: int, factor: float) -> Tensor:
    """Round float32 values times a factor to the uint8 grid of a scale and a zero point."""
    step = torch.tensor(scale, dtype=torch.float32)
    return round_to_grid(values * factor, step, zero_point, 0, LEVELS).contiguous()


@quantize_dequantize.register_fake
def _(values: Tensor, scale: float, zero_point: int, factor: float) -> Tensor:  # noqa: ARG001 - the operator's signature
    # Contiguous whatever came in: frames arrive with their channels last, and the exporter would write a
    # `Reshape` and a `Gather` behind every global average only to keep such strides.
    return torch.empty(values.shape, dtype=values.dtype, device=values.device)


@torch.library.custom_op("edgeseg::dequantize_weight", mutates_args=())
def dequantize_weight(levels: Tensor, scale: Tensor) -> Tensor:
    """Map int8 (outputs, inputs, kh, kw) weights with (outputs,) scales to float32."""
    return levels.to(scale.dtype) * scale.reshape(-1, 1, 1, 1)


@dequantize_weight.register_fake
def _(levels: Tensor, scale: Tensor) -> Tensor:
    return torch.empty(levels.shape, dtype=scale.dtype, device=levels.device)


def _write_rounding(values: Any, scale: float, zero_point: int, factor: float) -> Any:
    step = op.Constant(value=numpy_helper.from_array(np.array(scale, np.float32)))
    divisor = op.Constant(value=numpy_helper.from_array(np.array(scale / factor, np.float32)))
    zero = op.Constant(value=numpy_helper.from_array(np.array(zero_point, np.uint8)))
    return op.DequantizeLinear(op.QuantizeLinear(values, divisor, zero), step, zero)


def _write_weight(levels: Any, scale: Any) -> Any:
    return op.DequantizeLinear(levels, scale, axis=0)


TRANSLATIONS: Mapping[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.edgeseg.quantize_dequantize.default: _write_rounding,
    torch.ops.edgeseg.dequantize_weight.default: _write_weight,
}
"""How torch's exporter writes the two operators."""


class _FrozenQuantizer(nn.Module):
    def __init__(self, quantizer: ActivationQuantizer) -> None:
        super().__init__()
        scale, zero_point = quantizer.grid()
        self.scale, self.zero_point = float(scale), int(zero_point)

    def forward(self, values: Tensor, factor: float = 1.0) -> Tensor:
        rounded: Tensor = torch.ops.edgeseg.quantize_dequantize(values, self.scale, self.zero_point, factor)
        return rounded


class _FrozenConv2d(nn.Module):
    levels: Tensor
    scale: Tensor

    def __init__(self, conv: QuantConv2d) -> None:
        super().__init__()
        scale = conv.weight_grid()
        levels = conv.rounded_weight().detach() / scale.reshape(-1, 1, 1, 1)
        self.register_buffer("levels", levels.round().to(torch.int8))
        self.register_buffer("scale", scale)
        bias = conv.rounded_bias()
        self.bias = None if bias is None else nn.Parameter(bias.detach())
        self._convolve = conv._conv_forward

    def forward(self, values: Tensor) -> Tensor:
        weight = torch.ops.edgeseg.dequantize_weight(self.levels, self.scale)
        convolved: Tensor = self._convolve(values, weight, self.bias)
        return convolved


def is_quantized(module: nn.Module) -> bool:
    """Return whether a module was prepared for int8, that is holds a quantiser of activations."""
    return any(isinstance(part, ActivationQuantizer) for part in module.modules())


def freeze(module: ModuleT) -> ModuleT:
    """Return a copy on the CPU, in evaluation mode, that computes the same with the two operators and int8 weights."""
    frozen = deepcopy(module).cpu().eval()
    for name, part in list(frozen.named_modules(remove_duplicate=False)):
        if isinstance(part, ActivationQuantizer):
            frozen.set_submodule(name, _FrozenQuantizer(part))
        elif isinstance(part, QuantConv2d):
            frozen.set_submodule(name, _FrozenConv2d(part))
    return frozen
