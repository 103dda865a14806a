"""Deep supervision: what a training step runs and minimises when the network names places for auxiliary heads."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from edgeseg.data.base import IGNORE
from edgeseg.models.auxiliary import auxiliaries, auxiliary_heads, tapped
from edgeseg.training.boundary_losses import boundary_loss
from edgeseg.training.enlarge import at_size_of
from edgeseg.training.losses import Loss
from edgeseg_export.deployable import Deployable


class Supervised(Deployable):
    """A network in its contract with auxiliary heads beside it, which are part of neither."""

    def __init__(self, module: Deployable) -> None:
        """Take over the network of `module`, whose heads are made here, with random weights, where it is."""
        super().__init__(module.net, module.contract)
        self.taps = auxiliaries(module.net)
        heads = auxiliary_heads(module.net, len(module.contract.labels), module.contract.size)
        self.heads = heads.to(memory_format=torch.channels_last)

    def forward(self, frames: Tensor) -> list[Tensor]:  # type: ignore[override]
        """Map uint8 (N, H, W, 3) to the (N, classes, h, w) scores, followed by what each head says."""
        with tapped(self.net, [one.tap for one in self.taps]) as seen:
            scores = self.scores(frames)
        return [scores, *(head(seen[one.tap]) for one, head in zip(self.taps, self.heads, strict=True))]


def supervise(module: Deployable, weight: float) -> Deployable:
    """Return `module` with its auxiliary heads; as it is where the network has none or their loss has no weight."""
    return Supervised(module) if weight > 0 and auxiliaries(module.net) else module


def supervised_objective(
    objective: Callable[[Tensor, Tensor, Tensor], Tensor], criterion: Loss, module: Deployable, weight: float
) -> Callable[[Tensor, list[Tensor], Tensor], Tensor]:
    """Return `objective` of the scores with, for each head of `module`, `weight` times its loss added.

    Heads are compared with the targets at the targets' size, as the scores are.
    """
    losses: dict[str, Loss] = {
        "classes": criterion,
        "boundary": lambda scores, target: boundary_loss(scores, target, IGNORE),
    }

    def total(frames: Tensor, answers: list[Tensor], target: Tensor) -> Tensor:
        scores, *others = answers
        loss = objective(frames, scores, target)
        for one, other in zip(auxiliaries(module.net), others, strict=True):
            loss = loss + weight * losses[one.kind](at_size_of(target, other), target.long())
        return loss

    return total
