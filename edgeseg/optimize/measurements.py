"""What a search asks of the world, and what it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edgeseg.optimize.space import Trial, Variant, Weights
from edgeseg_runtime.errors import EdgesegError


class Impossible(EdgesegError):  # noqa: N818 - an answer, not a malfunction
    """These settings cannot be had of this model; the message says why. The search goes on without them."""


@dataclass(frozen=True)
class Estimate:
    """An mIoU (0..1) looked at on a few pictures."""

    mean_iou: float
    """On those pictures."""
    ceiling: float
    """The highest that all pictures may still give."""


@dataclass(frozen=True)
class Confirmation:
    """What was found on the finished file of a trial."""

    latency_ms: float
    agreement: float
    """Share of pixels (0..1) with the class that its own PyTorch net gives."""
    refusal: str | None = None
    """Why the parity gate refuses the file; None if it passes."""


class Workshop(Protocol):
    """Makes files and measures them. Every call is made once; each may raise Impossible."""

    def original(self) -> float:
        """Return the mIoU (0..1) of the float original at the size it was trained at."""
        ...

    def latency(self, trial: Trial) -> float:
        """Return the median milliseconds from picture to mask of a net of this shape, its weights not yet trained.

        Of a mixed variant, which has to say how many layers are in float: of the finished file.
        """
        ...

    def train(self, weights: Weights) -> None:
        """Train these weights; those they start from are there."""
        ...

    def layers(self, variant: Variant) -> int:
        """Return how many layers of a mixed variant may stay in float; its weights are trained."""
        ...

    def quick_score(self, variant: Variant) -> Estimate:
        """Score a few pictures; the variant's weights are trained."""
        ...

    def score(self, variant: Variant) -> float:
        """Return the mIoU (0..1) over all pictures."""
        ...

    def confirm(self, trial: Trial) -> Confirmation:
        """Measure the finished file itself and hold its masks against those of its own PyTorch net."""
        ...
