"""Which processor and which arithmetic a run uses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal, TypeVar, cast

import torch
from torch import nn

from edgeseg_runtime.errors import ConfigError

ModuleT = TypeVar("ModuleT", bound=nn.Module)


@dataclass(frozen=True)
class Processes:
    """How many processes train together."""

    here: int
    """On this machine."""
    machines: int = 1

    @property
    def total(self) -> int:
        """On all machines."""
        return self.here * self.machines


def choose_processes(devices: int) -> Processes:
    """Return `devices` processes on this machine, or under `torchrun` those that it started.

    Raises ConfigError when `devices` says something else than `torchrun` did.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return Processes(devices)
    here, total = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    if devices not in (1, total):
        raise ConfigError(f"--devices {devices}: torchrun started {total} processes; leave --devices away")
    if total % here:
        raise ConfigError(f"torchrun started {total} processes, {here} on this machine; start as many on each")
    return Processes(here, total // here)


def is_first_process() -> bool:
    """Whether this process speaks for all that train together, as far as whoever started it has said."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0


def choose_accelerator(device: str, devices: int = 1) -> Literal["cpu", "cuda"]:
    """Resolve `auto` to CUDA where there is a card. Raises ConfigError when more cards are asked for than there are."""
    present = torch.cuda.is_available()
    if device == "cuda" and not present:
        raise ConfigError("--device cuda: PyTorch sees no CUDA card here; use --device cpu or auto")
    if not present or device == "cpu":
        return "cpu"
    if devices > torch.cuda.device_count():
        raise ConfigError(f"--devices {devices}: PyTorch sees {torch.cuda.device_count()} CUDA card(s) here")
    return "cuda"


def choose_precision(precision: str, accelerator: str) -> Literal["32-true", "bf16-mixed"]:
    """Resolve `auto` to bf16 where the processor computes in it natively."""
    if precision == "auto":
        precision = "bf16" if _has_bf16(accelerator) else "float32"
    return "bf16-mixed" if precision == "bf16" else "32-true"


def share_batch_statistics(module: ModuleT, setting: str, processes: int, device: torch.device) -> ModuleT:
    """Return `module` with batch normalisations that average over the batches of all processes, under the same names.

    Left as it is unless `setting` is `auto` and several processes train on CUDA: PyTorch has them for cards alone.
    """
    if setting == "off" or processes == 1 or device.type != "cuda":
        return module
    return cast(ModuleT, nn.SyncBatchNorm.convert_sync_batchnorm(module))  # type: ignore[no-untyped-call]


def _has_bf16(accelerator: str) -> bool:
    if accelerator == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
