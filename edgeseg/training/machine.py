"""Which processor and which arithmetic a run uses."""

from __future__ import annotations

from typing import Literal

import torch

from edgeseg_runtime.errors import ConfigError


def choose_accelerator(device: str) -> Literal["cpu", "cuda"]:
    """Resolve `auto` to CUDA where there is a card. Raises ConfigError when a card is asked for and there is none."""
    present = torch.cuda.is_available()
    if device == "cuda" and not present:
        raise ConfigError("--device cuda: PyTorch sees no CUDA card here; use --device cpu or auto")
    return "cuda" if present and device != "cpu" else "cpu"


def choose_precision(precision: str, accelerator: str) -> Literal["32-true", "bf16-mixed"]:
    """Resolve `auto` to bf16 where the processor computes in it natively."""
    if precision == "auto":
        precision = "bf16" if _has_bf16(accelerator) else "float32"
    return "bf16-mixed" if precision == "bf16" else "32-true"


def _has_bf16(accelerator: str) -> bool:
    if accelerator == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
