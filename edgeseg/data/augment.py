"""Augmentation: presets of torchvision.transforms.v2 in which the mask always goes where the picture goes.

The input is already at the contract's size and in its colour order, and so is the output. All randomness comes from
torch's global generator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import cv2
import numpy as np
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError

Preset = Literal["none", "light", "standard", "strong"]
Augmentation = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(uint8 3×H×W, uint8 H×W) to the same."""

PRESETS: tuple[Preset, ...] = get_args(Preset)


def augmentation(name: Preset, contract: Contract) -> Augmentation:
    """Build a preset: `light` flips and shifts colours a little, `standard` also zooms, `strong` also turns and blurs.

    `none` leaves the picture as the runtime's preprocessing made it.

    What lies outside the picture is filled with the contract's mean colour and its ignore index. Raises ConfigError.
    """
    if name not in PRESETS:
        raise ConfigError(f"augmentation must be one of {', '.join(PRESETS)}, got {name!r}")
    return _unchanged if name == "none" else _Pipeline(_steps(name, contract))


def _unchanged(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    return image, mask


class _Pipeline:
    """Transforms over a pair; a class, so that worker processes can be sent one."""

    def __init__(self, steps: list[v2.Transform]) -> None:
        self._steps = v2.Compose(steps)

    def __call__(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        out_image, out_mask = self._steps(tv_tensors.Image(image), tv_tensors.Mask(mask))
        return out_image.as_subclass(Tensor), out_mask.as_subclass(Tensor)


def _steps(name: Preset, contract: Contract) -> list[v2.Transform]:
    fill = {
        tv_tensors.Image: [float(round(255 * value)) for value in contract.mean],
        tv_tensors.Mask: float(contract.ignore_index),
    }
    flip = v2.RandomHorizontalFlip(0.5)
    # Colour comes first: the fill is then the mean colour itself, and no part of what colours are measured on.
    if name == "light":
        return [ColorShift(0.15), flip]
    if name == "standard":
        return [ColorShift(0.3), flip, ScaleCrop((0.75, 2.0), contract)]
    blur = v2.GaussianBlur(5, (0.3, 1.5))
    rotation = v2.RandomRotation(8, interpolation=v2.InterpolationMode.BILINEAR, fill=fill)
    return [
        ColorShift(0.5),
        v2.RandomApply([blur], 0.2),
        flip,
        v2.RandomApply([rotation], 0.3),
        ScaleCrop((0.5, 2.0), contract),
    ]


class ScaleCrop(v2.Transform):  # type: ignore[misc]
    """Zoom by a random factor and keep the size: a crop enlarged, or the picture made small at a random place.

    One resize either way: enlarging first and cropping then would resize pixels that are thrown away.
    """

    def __init__(self, scale: tuple[float, float], contract: Contract) -> None:
        super().__init__()
        self.scale, self.size = scale, contract.size
        self.image_fill = [float(round(255 * value)) for value in contract.mean]
        self.mask_fill = float(contract.ignore_index)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:  # noqa: ARG002
        """Draw the factor (log-uniform, so that halving is as likely as doubling) and the place."""
        low, high = torch.tensor(self.scale).log()
        factor, down, right = torch.rand(3).tolist()
        zoom = float((low + (high - low) * factor).exp())
        height, width = self.size
        rows, columns = max(1, round(height / max(zoom, 1 / zoom))), max(1, round(width / max(zoom, 1 / zoom)))
        return {
            "enlarge": zoom >= 1,
            "top": round(down * (height - rows)),
            "left": round(right * (width - columns)),
            "rows": rows,
            "columns": columns,
        }

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Apply the drawn zoom to a picture or a mask."""
        is_mask = isinstance(inpt, tv_tensors.Mask)
        plain = inpt.as_subclass(Tensor)
        if is_mask:
            plain = plain[None]
        out = self._zoom(plain, is_mask, params)
        return tv_tensors.wrap(out[0] if is_mask else out, like=inpt)

    def _zoom(self, plain: Tensor, is_mask: bool, params: dict[str, Any]) -> Tensor:
        height, width = self.size
        top, left, rows, columns = params["top"], params["left"], params["rows"], params["columns"]
        # Plain nearest neighbour samples at pixel corners, half a pixel off from what bilinear does to the picture.
        mode = v2.InterpolationMode.NEAREST_EXACT if is_mask else v2.InterpolationMode.BILINEAR
        if params["enlarge"]:
            part = plain[:, top : top + rows, left : left + columns]
            large: Tensor = F.resize(part, [height, width], mode, antialias=not is_mask)
            return large
        small = F.resize(plain, [rows, columns], mode, antialias=not is_mask)
        padding = [left, top, width - columns - left, height - rows - top]
        padded: Tensor = F.pad(small, padding, fill=self.mask_fill if is_mask else self.image_fill)
        return padded


class ColorShift(v2.Transform):  # type: ignore[misc]
    """Change brightness, contrast, saturation and colour temperature at random.

    All four are linear in the channels, so they are one 3×3 matrix and an offset, and one pass over the pixels.
    """

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = strength

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:  # noqa: ARG002
        """Draw the matrix (output channel × input channel) and the offset's factor."""
        brightness, contrast, saturation = (1 + self.strength * (2 * torch.rand(3) - 1)).tolist()
        warmth = 0.2 * self.strength * float(2 * torch.rand(1) - 1)
        matrix = np.diag([1 + warmth, 1.0, 1 - warmth]) @ (saturation * np.eye(3) + (1 - saturation) / 3)
        return {"matrix": brightness * contrast * matrix, "pivot": brightness * (1 - contrast)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Apply to a picture; masks have no colour."""
        if isinstance(inpt, tv_tensors.Mask):
            return inpt
        pixels = np.ascontiguousarray(inpt.as_subclass(Tensor).permute(1, 2, 0).numpy())
        offset = params["pivot"] * float(np.mean(cv2.mean(pixels)[:3]))
        matrix = np.column_stack([params["matrix"], [offset] * 3])
        shifted = cv2.transform(pixels, matrix)  # rounds and saturates
        return tv_tensors.wrap(torch.from_numpy(shifted).permute(2, 0, 1), like=inpt)
