"""What a training step of an instance model runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from edgeseg.training.instances.losses import prototype_losses
from edgeseg_export.instances.deployable import InstanceDeployable

Targets = Sequence[Mapping[str, Tensor]]
"""What each picture's objects are: see `prototype_losses`."""


class Sealed:
    """Targets that get to the module as they are.

    Fabric rounds every tensor of floats in the lists and mappings that a module is given to the run's arithmetic. In
    bf16 the sides of a box would be whole steps of two pixels from pixel 256 on.
    """

    def __init__(self, targets: Targets) -> None:
        self.targets = targets


def total(losses: Mapping[str, Tensor]) -> Tensor:
    """Return what is minimised, 0-d: the sum of a step's losses."""
    return torch.stack(list(losses.values())).sum()


class InstanceLearner(InstanceDeployable):
    """A network in its contract that answers with its losses.

    They are made in here and not by the caller, so that a wrapper around the module sees the whole of a step: one that
    shares gradients between processes must.
    """

    def forward(self, frames: Tensor, sealed: Sealed) -> dict[str, Tensor]:  # type: ignore[override]
        """Map uint8 (N, H, W, 3) frames and a target a picture to losses, 0-d each, by name.

        A network of detections makes its losses itself.
        """
        targets = sealed.targets
        if self.contract.output == "prototypes":
            output = self.raw(frames)
            with torch.autocast(frames.device.type, enabled=False):  # bf16 is too coarse for overlaps
                return prototype_losses(output, targets, self.contract.size)
        net: Any = self.net
        losses: dict[str, Tensor] = net.losses(self.normalise(frames), targets)
        return losses
