"""What the tables of architectures say of each: what it needs, where it comes from, what others say that it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from edgeseg.models.pretrained import Weights
from edgeseg_runtime.errors import ConfigError

OWN = "Apache-2.0"
TORCHVISION = "Apache-2.0, BSD-3-Clause (torchvision)"
IMAGENET = "torchvision, BSD-3-Clause; learnt from ImageNet"

BuildT = TypeVar("BuildT")


@dataclass(frozen=True)
class Published:
    """What an architecture costs according to somebody else."""

    parameters: float
    """Millions."""
    gmacs: float | None
    """Thousand millions of multiply-accumulates of one picture; None where nobody says."""
    size: tuple[int, int]
    """Height and width of that picture."""
    classes: int
    source: str
    with_heads: bool = False
    """Whether the auxiliary heads of training are counted."""


@dataclass(frozen=True)
class Spec(Generic[BuildT]):
    """How to build an architecture, what it needs and where it comes from."""

    build: BuildT
    minimum: int
    """Smallest input height and width that leaves something to look at in the coarsest layer."""
    paper: str
    licence: str = OWN
    """Licence of the code that makes the network."""
    weights: str | None = None
    """Where ImageNet weights of its backbone come from, with their licence; None where there are none."""
    published: Published | None = None

    @property
    def pretrained(self) -> bool:
        """Whether ImageNet weights exist for its backbone."""
        return self.weights is not None

    def check(self, name: str, size: tuple[int, int], weights: Weights) -> None:
        """Raise ConfigError when `name`, which this is about, takes no such inputs or has no such weights."""
        if min(size) < self.minimum:
            raise ConfigError(f"{name} needs inputs of at least {self.minimum}×{self.minimum}, got {size[0]}×{size[1]}")
        if weights == "imagenet" and not self.pretrained:
            raise ConfigError(
                f"{name} has no ImageNet weights; train it with --weights none, or a file (`edgeseg models` shows who "
                "has)"
            )
